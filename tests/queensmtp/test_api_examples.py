"""Each call of the API is told by an example, in the openapi.py of its app."""

from queensmtp.api_document import OPERATIONS, document


def test_every_operation_has_an_example() -> None:
    there = {
        f"{method.upper()} {path}"
        for path, methods in document()["paths"].items()
        for method in methods
    }
    assert there - set(OPERATIONS) == set(), "Add them to OPERATIONS in the app's openapi.py."
