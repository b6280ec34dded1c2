# Trying again, by decorator, until it works or gives up.
from tenacity import RetryError, Retrying, retry, retry_if_exception_type, stop_after_attempt, wait_fixed

tries = []


@retry(stop=stop_after_attempt(5), wait=wait_fixed(0.01), retry=retry_if_exception_type(ValueError))
def flaky():
    tries.append(1)
    if len(tries) < 3:
        raise ValueError("not yet")
    return "done"


assert flaky() == "done" and len(tries) == 3 and flaky.statistics["attempt_number"] == 3
try:
    Retrying(stop=stop_after_attempt(2), wait=wait_fixed(0))(lambda: 1 / 0)
except RetryError as error:
    assert isinstance(error.last_attempt.exception(), ZeroDivisionError)
else:
    raise AssertionError("gave no error")
print("stack ok")
