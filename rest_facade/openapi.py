"""The OpenAPI 3.1 document, made from the route table.

Owns what every operation has in common: errors, headers, security. Must not know single routes.
"""

import re
from collections.abc import Sequence
from typing import Any

from rest_facade import schemas
from rest_facade.call import REQUEST_ID_CHARACTERS_MAX
from rest_facade.errors import CODES, Code
from rest_facade.examples import ANSWERS
from rest_facade.fields import Field
from rest_facade.route import Route, Success
from rest_facade.wire import JSON, PROBLEM_JSON

TITLE = "Infini Reach"
VERSION = "1"
INTRODUCTION = (
    "Send and receive SMS and WhatsApp messages through your own devices. "
    "Every request carries an API key, every answer is JSON and names its request in `X-Request-Id`."
)
_KEYED = ("unauthorized", "rate_limited", "internal", "unavailable")
_SCOPED = ("forbidden",)
_WITH_BODY = ("invalid_json", "request_timeout", "payload_too_large", "unsupported_media_type")
_PATH_PATTERNS = {
    "messageId": "^(job-)?[0-9a-f]{24}$",
    "deviceId": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "driverTokenId": "^[0-9A-Za-z]{1,64}$",
}
_RECORD_PATTERN = "^[0-9a-f]{24}$"
_RATE_HEADERS = (
    "RateLimit-Policy",
    "RateLimit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)

Document = dict[str, Any]


def document(routes: Sequence[Route], server_url: str) -> Document:
    """The whole document. `server_url`: where the API is, `/` for where the document came from."""
    paths: Document = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
            },
            "headers": _headers(),
        },
    }


def error_codes(route: Route) -> list[Code]:
    """The codes that a route may answer with, by status and name."""
    names = {"bad_request", *route.errors}
    if route.scope is not None:
        names.update(_KEYED, _SCOPED)
    if route.body is not None:
        names.update(_WITH_BODY)
    return sorted((CODES[name] for name in names), key=lambda code: (code.status, code.name))


def _operation(route: Route) -> Document:
    operation: Document = {
        "operationId": route.operation,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *map(_query_parameter, route.query)],
        "responses": {**_successes(route), **_errors(route)},
        "security": [{"apiKey": []}, {"bearer": []}] if route.scope is not None else [],
    }
    described = [route.description] if route.description else []
    if route.scope is not None:
        described.append(f"Scope: `{route.scope}`.")
    if described:
        operation["description"] = " ".join(described)
    if route.body is not None:
        content: Document = {"schema": schemas.reference(route.body.schema), "example": route.body.example}
        if route.body.others:
            examples = {"text": content.pop("example"), **route.body.others}
            content["examples"] = {name: {"value": example} for name, example in examples.items()}
        operation["requestBody"] = {"required": route.body.required, "content": {JSON: content}}
    return operation


def path_names(route: Route) -> list[str]:
    """The names in a route's path."""
    return re.findall(r"\{(\w+)\}", route.path)


def _path_parameters(route: Route) -> list[Document]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _PATH_PATTERNS.get(name, _RECORD_PATTERN)},
        }
        for name in path_names(route)
    ]


def _query_parameter(field: Field) -> Document:
    parameter: Document = {
        "name": field.name,
        "in": "query",
        "required": field.required,
        "description": field.help,
        "schema": dict(field.shape.schema),
    }
    if field.shape.schema.get("type") == "array":
        parameter |= {"style": "form", "explode": False}
    return parameter


def _successes(route: Route) -> Document:
    return {str(status): _success(route, success) for status, success in route.success.items()}


def _success(route: Route, success: Success) -> Document:
    content: Document = {
        "schema": schemas.reference(success.schema) if success.schema else {"type": "string"}
    }
    if success.schema in ANSWERS:
        content["example"] = ANSWERS[success.schema]
    response: Document = {
        "description": success.meaning,
        "headers": _header_references(route),
        "content": {success.content_type: content},
    }
    if route.links:
        response["links"] = dict(route.links)
    return response


def _errors(route: Route) -> Document:
    responses: Document = {}
    for code in error_codes(route):
        response = responses.setdefault(
            str(code.status),
            {
                "description": "",
                "headers": _header_references(route if code.status != 401 else None),
                "content": {
                    JSON: {"schema": schemas.reference("Error")},
                    PROBLEM_JSON: {"schema": schemas.reference("Problem")},
                },
            },
        )
        response["description"] = f"{response['description']} `{code.name}`: {code.sentence}".strip()
        if code.status in {429, 503}:
            response["headers"]["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    return responses


def _header_references(route: Route | None) -> Document:
    names = ("X-Request-Id", *(_RATE_HEADERS if route is not None and route.scope is not None else ()))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _headers() -> Document:
    number = {"type": "integer", "minimum": 0}
    text = {"type": "string", "minLength": 1}
    request_id = {**text, "maxLength": REQUEST_ID_CHARACTERS_MAX}
    described = {
        "X-Request-Id": ("The request's id, yours if you sent a usable one.", request_id),
        "RateLimit-Policy": ("The plan: requests `q` in a window of `w` seconds.", text),
        "RateLimit": ("What is left: `r` requests for the next `t` seconds.", text),
        "X-RateLimit-Limit": ("Requests a minute.", number),
        "X-RateLimit-Remaining": ("How many of them are left.", number),
        "X-RateLimit-Reset": ("Unix time at which the minute ends.", number),
        "Retry-After": ("Seconds to wait.", number),
    }
    return {
        name: {"description": help_text, "schema": schema} for name, (help_text, schema) in described.items()
    }
