"""The errors that a Tableau Server answers with, as exceptions.

Codes, summaries and the wording of details belong here; deciding when one applies does not. Code,
summary and detail follow Tableau's published error tables and, where these give no wording, the
texts that users of its client library report.
"""

SUMMARIES = {
    400: "Bad Request",
    401: "Unauthorized Access",
    403: "Forbidden",
    404: "Resource Not Found",
    405: "Invalid Request Method",
    409: "Resource Conflict",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}


class ApiError(Exception):
    """An answer with an error in it.

    Attributes:
        code: Tableau's six-digit code; its first three digits are the HTTP status.
        summary: A few words; the same for all codes of one HTTP status, nearly.
        detail: What was wrong, for a person.
        reason: What a real server does not tell the client; for the sandbox's log and job notes.
    """

    def __init__(
        self, code: int, detail: str, *, summary: str | None = None, reason: str = ""
    ) -> None:
        super().__init__(f"{code}: {detail}" + (f" ({reason})" if reason else ""))
        self.reason = reason
        self.code = code
        self.detail = detail
        self.summary = summary or SUMMARIES[self.status]

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return self.code // 1000


class GatewayError(Exception):
    """An answer that a real installation's gateway gives, in HTML, before Tableau is asked.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} {SUMMARIES[status]}")
        self.status = status


def bad_request(detail: str) -> ApiError:
    """Returns the error for a body that is missing, incomplete or malformed."""
    return ApiError(400000, detail)


def sign_in_error(number: int | None = None, name: str = "") -> ApiError:
    """Returns the error for refused credentials, with Tableau's number for a refused JWT."""
    detail = "Error signing in to Tableau Server"
    if number is not None:
        detail += f" (errorCode={number}, {name})"
    return ApiError(401001, detail, summary="Signin Error")


def no_credentials() -> ApiError:
    """Returns the error for a request without a session token."""
    return ApiError(401000, "No authentication credentials were provided.")


def bad_credentials() -> ApiError:
    """Returns the error for a session token that is unknown, expired or lacks a scope."""
    return ApiError(401002, "Invalid authentication credentials were provided.")


def not_found(code: int, kind: str, identifier: str) -> ApiError:
    """Returns the error for something that is named by an id and does not exist."""
    return ApiError(code, f"{kind} '{identifier}' could not be found.")


def unknown_resource(path: str) -> ApiError:
    """Returns the error for an address that no Tableau Server of this version has."""
    return ApiError(404003, f"Unknown resource '{path}' specified in URI.")


def not_implemented(what: str) -> ApiError:
    """Returns the sandbox's own refusal of something that a real server may do."""
    return ApiError(501000, f"The sandbox does not implement {what}.")
