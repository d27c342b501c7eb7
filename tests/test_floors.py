"""The house's rule of construction: a room imports only from lower floors, nothing goes in circles."""

import ast
from pathlib import Path

import pytest

import memspan

SOURCE = Path(memspan.__file__).parent
FLOORS = {
    -1: ("errors", "linked"),
    0: ("streams", "simd", "registry", "machine", "transforms"),
    1: ("cells", "tasks", "ledger", "statistics"),
    2: ("kernels", "config"),
    3: ("layers", "text", "sensors"),
    4: ("models",),
    5: ("training", "probes", "bench"),
    6: ("sweep",),
    7: ("study",),
    8: ("report",),
    9: ("app",),
    10: ("cli",),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
FORBIDDEN = {"report": {"training", "models", "layers", "kernels"}}
TORCH_FREE = ("config", "tasks", "ledger", "statistics", "study", "streams", "errors", "registry")


def files():
    return sorted(SOURCE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every memspan module a file imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("memspan.")}


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else None


@pytest.mark.parametrize("path", files(), ids=module_of)
def test_a_room_imports_only_from_lower_floors(path):
    here = room(module_of(path))
    if here is None:  # the package's own page and __main__ stand outside the house
        return
    for module in imports(path):
        there = room(module)
        if there not in (None, here):
            assert FLOOR[there] < FLOOR[here], f"{here} (floor {FLOOR[here]}) imports {module}"
            assert there not in FORBIDDEN.get(here, ()), f"{here} must never import {there}"


def test_every_room_has_a_floor():
    rooms = {p.name.removesuffix(".py") for p in SOURCE.iterdir() if not p.name.startswith("__")}
    assert rooms - {"py.typed"} <= set(FLOOR)


def test_no_import_cycles():
    graph = {module_of(p): imports(p) for p in files()}
    graph = {m: {d for d in deps if d in graph and d != m} for m, deps in graph.items()}
    for module in graph:  # a package's page may name its own modules
        graph[module] = {d for d in graph[module] if not module.startswith(f"{d}.")}
    done: set[str] = set()

    def visit(module, trail):
        assert module not in trail, " → ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for dependency in sorted(graph[module]):
                visit(dependency, [*trail, module])
            done.add(module)

    for module in graph:
        visit(module, [])


def test_light_rooms_do_not_import_torch(python):
    names = ", ".join(f"memspan.{name}" for name in TORCH_FREE)
    python(f"import sys, {names}; assert not {{'torch', 'numba', 'matplotlib', 'scipy'}} & set(sys.modules)")


def test_importing_memspan_is_light(python):
    python("import sys, memspan; assert not {'numba', 'matplotlib', 'scipy', 'rich'} & set(sys.modules)")
