"""A login by OpenID Connect, against a stand-in of a provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from fleet_page.oidc import Oidc
from joserfc import jwt
from joserfc.jwk import RSAKey

ISSUER = "https://login.example.com"
REDIRECT = "https://page.example.com/oidc"
SETTINGS = {"issuer": ISSUER, "client_id": "page", "client_secret": "sesame"}
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"})


class Provider:
    """claims: changes those of the token. key: signs it."""

    def __init__(self, claims: dict[str, Any] | None = None, key: RSAKey = KEY, issuer: str = ISSUER) -> None:
        self._claims, self._key, self._issuer = claims or {}, key, issuer
        self.nonce = ""
        self.asked: dict[str, list[str]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/.well-known/openid-configuration":
            ends = {name: f"{ISSUER}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
            return httpx.Response(200, json={"issuer": self._issuer, **ends})
        if path == "/jwks_uri":
            return httpx.Response(200, json={"keys": [KEY.as_dict(private=False)]})
        self.asked = parse_qs(request.content.decode())
        if self.asked.get("code") != ["a-code"]:
            return httpx.Response(400, json={"error": "invalid_grant", "error_description": "no such code"})
        claims = {
            "iss": ISSUER, "aud": "page", "exp": int(time.time()) + 60, "nonce": self.nonce,
            "preferred_username": "alice", **self._claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key, algorithms=["RS256"])
        return httpx.Response(200, json={"access_token": "x", "token_type": "Bearer", "id_token": token})


def log_in(
    provider: Provider,
    settings: dict[str, str] | None = None,
    answer: Callable[[str], str] = lambda state: f"code=a-code&state={state}",
    kept: Callable[[str], str | None] = lambda state: state,
) -> str:
    async def both() -> str:
        oidc = Oidc(settings or SETTINGS, httpx.MockTransport(provider))
        url, state = await oidc.begin(REDIRECT)
        query = parse_qs(urlsplit(url).query)
        assert query["redirect_uri"] == [REDIRECT] and query["code_challenge_method"] == ["S256"]
        provider.nonce = query["nonce"][0]
        return await oidc.name(answer(state), kept(state), REDIRECT)

    return asyncio.run(both())


def test_the_name_is_the_claim_of_the_token() -> None:
    provider = Provider()
    assert log_in(provider) == "alice"
    assert provider.asked["code_verifier"] and provider.asked["redirect_uri"] == [REDIRECT]


def test_another_claim_may_be_the_name() -> None:
    assert log_in(Provider({"email": "a@example.com"}), {**SETTINGS, "name_claim": "email"}) == "a@example.com"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"aud": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"iss": "https://elsewhere.example.com"}, "iss"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"nonce": "of another login"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"preferred_username": None}, "told no preferred_username"),
        ({"preferred_username": ["alice"]}, "told no preferred_username"),
    ],
)
def test_a_token_that_is_not_for_this_login_is_refused(claims: dict[str, Any], words: str) -> None:
    with pytest.raises(FleetError, match=words):
        log_in(Provider(claims))


def test_a_token_that_another_key_signed_is_refused() -> None:
    with pytest.raises(FleetError, match="cannot be used"):
        log_in(Provider(key=OTHER_KEY))


def test_an_answer_without_the_cookie_of_its_begin_is_refused() -> None:
    for kept in (lambda _state: None, lambda _state: "", lambda _state: "another"):
        with pytest.raises(FleetError, match="was not begun here"):
            log_in(Provider(), kept=kept)


def test_an_answer_is_taken_once() -> None:
    async def twice() -> None:
        provider = Provider()
        oidc = Oidc(SETTINGS, httpx.MockTransport(provider))
        url, state = await oidc.begin(REDIRECT)
        provider.nonce = parse_qs(urlsplit(url).query)["nonce"][0]
        assert await oidc.name(f"code=a-code&state={state}", state, REDIRECT) == "alice"
        await oidc.name(f"code=a-code&state={state}", state, REDIRECT)

    with pytest.raises(FleetError, match="was not begun here"):
        asyncio.run(twice())


def test_what_the_provider_refuses_is_told() -> None:
    with pytest.raises(FleetError, match="refused the login: no seat left"):
        log_in(Provider(), answer=lambda state: f"error=access_denied&error_description=no+seat+left&state={state}")
    with pytest.raises(FleetError, match="gave no token"):
        log_in(Provider(), answer=lambda state: f"code=wrong&state={state}")


def test_a_provider_with_another_issuer_is_refused() -> None:
    with pytest.raises(FleetError, match=r"not 'https://login\.example\.com'"):
        log_in(Provider(issuer="https://evil.example.com"))


def test_a_provider_that_does_not_answer_is_told() -> None:
    def refuses(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(FleetError, match="cannot be reached"):
        asyncio.run(Oidc(SETTINGS, httpx.MockTransport(refuses)).begin(REDIRECT))
