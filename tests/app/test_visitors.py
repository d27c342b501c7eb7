"""Several visitors at once, each in a browser of his own."""

WORDS = "document.querySelector('#train-words').innerText"
STEP = f"Number((/Step ([\\d,]+)/.exec({WORDS}) || [0, '0'])[1].replace(',', ''))"


def train(visit):
    """Open the page, and ask for a training that does not end by itself during a test."""
    page = visit("Memory span")
    page.get_by_label("Length T (digits)").first.fill("100")
    page.get_by_role("button", name="Train").click()
    return page


def step(page):
    return page.evaluate(STEP)


def goes_on(page):
    page.wait_for_function(f"now => {STEP} > now", arg=step(page), timeout=60_000)


def two_train_and_one_waits(visit):
    first, second = train(visit), train(visit)
    goes_on(first)
    goes_on(second)
    third = train(visit)
    third.wait_for_function(f"() => {WORDS}.includes('2 others are training')")
    return first, second, third


def stop(page):
    page.get_by_role("button", name="Stop").click()


def stopped(page):
    return "stopped" in page.evaluate(WORDS)


def test_two_train_at_once_and_a_third_waits_for_his_turn(visit):
    first, second, third = two_train_and_one_waits(visit)
    goes_on(first)
    goes_on(second)
    assert step(third) == 0
    stop(first)
    first.wait_for_function(f"() => {WORDS}.includes('stopped')")
    goes_on(third)
    goes_on(second)
    stop(third)
    third.wait_for_function(f"() => {WORDS}.includes('stopped')")
    goes_on(second)
    assert not stopped(second)
    stop(second)
    second.wait_for_function(f"() => {WORDS}.includes('stopped')")


def test_who_gives_up_waiting_is_not_trained_for(visit):
    first, second, third = two_train_and_one_waits(visit)
    stop(third)
    third.wait_for_function(f"() => {WORDS}.includes('press Train')")
    fourth = train(visit)
    stop(first)
    goes_on(fourth)
    assert step(third) == 0
    stop(second)
    stop(fourth)
