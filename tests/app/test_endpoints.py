"""The page's actions as endpoints, called by a program."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "app.md"


def test_the_snippet_of_the_page_runs(server, python):
    snippet = re.search(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]
    code = snippet.replace("http://127.0.0.1:7860", server.address).replace(
        "page.predict", "made = page.predict"
    )
    said = python(f"import warnings; warnings.simplefilter('ignore')\n{code}\nprint(len(made['text']))")
    assert said.splitlines()[-1] == "40"


def test_every_endpoint_named_on_the_page_is_there(server, python):
    named = re.search(
        r"Every action is also an endpoint: (.*?),\s+for", PAGE.read_text(encoding="utf-8"), re.S
    )[1]
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from gradio_client import Client\n"
        f"page = Client('{server.address}', verbose=False)\n"
        "print(*page.view_api(print_info=False, return_format='dict')['named_endpoints'])"
    )
    found = set(python(code).split())
    assert {f"/{name}" for name in re.findall(r"`(\w+)`", named)} == found


def test_other_files_of_the_folder_are_not_served(server, app_folder, python):
    (app_folder / "secret.txt").write_text("secret")
    code = (
        "import urllib.request, urllib.error\n"
        "for path in ('/report/../secret.txt', '/secret.txt', '/gradio_api/file=secret.txt',"
        f" '/gradio_api/file={app_folder}/secret.txt', '/report/%2e%2e/secret.txt'):\n"
        f"    url = '{server.address}'.rstrip('/') + path\n"
        "    try:\n"
        "        print('secret' in urllib.request.urlopen(url).read().decode())\n"
        "    except urllib.error.HTTPError as error:\n"
        "        print(False)\n"
    )
    assert set(python(code).split()) == {"False"}
