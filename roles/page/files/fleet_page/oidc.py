# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A login by OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

SECONDS = 15
ANSWER_SECONDS = 600  # from the click to the answer of the provider
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"]
SCOPE = "openid profile email"
CLAIM = "preferred_username"


class Oidc:
    """settings: issuer, client_id, client_secret, name_claim. transport: for tests."""

    def __init__(self, settings: Mapping[str, str], transport: Any = None) -> None:
        self._settings = settings
        self._transport = transport
        self._begun: dict[str, tuple[str, str, float]] = {}  # state -> verifier, nonce, when

    async def begin(self, redirect: str) -> tuple[str, str]:
        """The URL of the provider's login, and the state that a cookie keeps."""
        provider = await self._provider()
        now = time.monotonic()
        self._begun = {key: one for key, one in self._begun.items() if now - one[2] < ANSWER_SECONDS}
        state, verifier, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        self._begun[state] = verifier, nonce, now
        query = {
            "response_type": "code",
            "client_id": self._settings["client_id"],
            "redirect_uri": redirect,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        way = provider["authorization_endpoint"]
        return f"{way}{'&' if '?' in way else '?'}{urlencode(query)}", state

    async def name(self, query: str, kept: str | None, redirect: str) -> str:
        """The person's name, from the query of the provider's answer. kept: the state of the cookie.

        Raises FleetError.
        """
        given = {key: values[0] for key, values in parse_qs(query).items()}
        if "error" in given:
            raise FleetError(f"the provider refused the login: {given.get('error_description') or given['error']}")
        state = given.get("state", "")
        verifier, nonce, when = self._begun.pop(state, ("", "", 0.0))
        late = time.monotonic() - when > ANSWER_SECONDS
        if not verifier or not kept or not secrets.compare_digest(state, kept) or late:
            raise FleetError("this login was not begun here, or took too long; begin again")
        try:
            claims = await self._claims(given.get("code", ""), verifier, nonce, redirect)
        except httpx.HTTPStatusError as error:
            raise FleetError(f"the provider gave no token: {error.response.text[:300]}") from None
        except (httpx.HTTPError, JoseError, KeyError, TypeError, ValueError) as error:
            raise FleetError(f"the answer of the provider cannot be used: {type(error).__name__}: {error}") from None
        claim = self._settings.get("name_claim") or CLAIM
        name = claims.get(claim)
        if not isinstance(name, str) or not name:
            raise FleetError(f"the provider told no {claim}; set name_claim of page_oidc")
        return name

    async def _claims(self, code: str, verifier: str, nonce: str, redirect: str) -> dict[str, Any]:
        provider = await self._provider()
        secret = self._settings["client_id"], self._settings["client_secret"]
        body = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        async with httpx.AsyncClient(timeout=SECONDS, transport=self._transport) as client:
            token = (await client.post(provider["token_endpoint"], data=body, auth=secret)).raise_for_status().json()
            keys = (await client.get(provider["jwks_uri"])).raise_for_status().json()
        found = jwt.decode(token["id_token"], KeySet.import_key_set(keys), algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": provider["issuer"]},
            aud={"essential": True, "value": secret[0]},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(found.claims)
        return found.claims

    async def _provider(self) -> dict[str, Any]:
        issuer = self._settings["issuer"].rstrip("/")
        url = f"{issuer}/.well-known/openid-configuration"
        try:
            async with httpx.AsyncClient(timeout=SECONDS, transport=self._transport) as client:
                found: dict[str, Any] = (await client.get(url)).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise FleetError(f"{url}: {error or type(error).__name__}; the provider cannot be reached") from None
        if str(found.get("issuer", "")).rstrip("/") != issuer:
            raise FleetError(f"{url}: is of the issuer {found.get('issuer')!r}, not {issuer!r}")
        return found


def _challenge(verifier: str) -> str:
    """RFC 7636, 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
