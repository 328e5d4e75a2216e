# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Try a model: a request through the front door, with a key as any client has one."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

from fleet_page.door import CHAT, Door, endpoint, fitting, known_keys
from fleet_page.guard import person_of
from fleet_page.page import Page, changing, log, problem
from fleet_page.views import parts

MOST_TOKENS = 512
OWN = "a key that I enter"


class Trial:
    def __init__(self, page: Page, chosen: Any) -> None:
        self._page = page
        with gr.Row():
            self.alias = gr.Dropdown(
                [OWN], value=OWN, label="Key", info="A key of the inventory stays in its file", elem_id="try-alias"
            )
            self.key = gr.Textbox(
                label="My key",
                type="password",
                info="Sent to the front door alone, and kept nowhere",
                elem_id="try-key",
            )
        self.unable = gr.HTML()
        with gr.Group(visible=False) as self.chat_box:
            # Takes texts for HTML, which it only sanitizes: they are escaped. Its button would copy them so.
            self.chat = gr.Chatbot(
                height=360,
                label="Chat",
                elem_id="try-chat",
                sanitize_html=True,
                render_markdown=False,
                buttons=[],
            )
            with gr.Row():
                self.ask = gr.Textbox(
                    show_label=False, container=False, placeholder="Ask something", scale=5, elem_id="try-ask"
                )
                self.send = gr.Button("Send", variant="primary", scale=0, min_width=90, elem_id="try-send")
                self.stop = gr.Button("Stop", scale=0, min_width=80)
        with gr.Group(visible=False) as self.text_box:
            self.text = gr.Textbox(label="Text", lines=2, elem_id="try-text")
            self.voice = gr.Textbox(label="voice", visible=False, info="A name that the speech model knows")
            self.audio = gr.File(label="Recording", file_types=["audio"], visible=False)
            self.go = gr.Button("Send", variant="primary", size="sm", scale=0, min_width=150, elem_id="try-go")
            self.out_text = gr.HTML(elem_id="try-out")
            self.out_audio = gr.Audio(visible=False, label="Speech", interactive=False)
            self.out_image = gr.Image(visible=False, label="Picture", interactive=False)
        quiet: dict[str, Any] = {"api_visibility": "private"}
        sent = [self.ask, self.chat, chosen, self.alias, self.key]
        events: Any = [
            listener(self._asked, sent, [self.ask, self.chat], show_progress="hidden", **quiet)
            for listener in (self.ask.submit, self.send.click)
        ]
        self.stop.click(None, None, None, cancels=events, **quiet)
        given = [chosen, self.alias, self.key, self.text, self.voice, self.audio]
        self.go.click(self._once, given, [self.out_text, self.out_audio, self.out_image], **quiet)

    @property
    def outputs(self) -> list[Any]:
        return [
            self.alias, self.unable, self.chat_box, self.chat, self.text_box, self.text, self.voice, self.audio,
            self.out_text, self.out_audio, self.out_image,
        ]  # fmt: skip

    def choose(self, row: Any) -> list[Any]:
        """Updates for `outputs`: what fits the type of the model."""
        host = self._page.snapshot().hosts[row.host]
        known = known_keys(host.given, self._page.inventory.folder)
        aliases = fitting(known, host.entries("fleet_keys"), row.name)
        chats = row.type in CHAT
        label = {"embedding": "Text to embed", "tts": "Text to say", "image": "What the picture shows"}.get(
            row.type, "Text"
        )
        return [
            gr.update(choices=[*aliases, OWN], value=aliases[0] if aliases else OWN),
            "",
            gr.update(visible=chats),
            [],
            gr.update(visible=not chats),
            gr.update(visible=row.type != "stt", label=label, value=""),
            gr.update(visible=row.type == "tts"),
            gr.update(visible=row.type == "stt", value=None),
            "",
            gr.update(visible=False),
            gr.update(visible=False),
        ]

    def _door(self, pick: str, alias: str, key: str, request: gr.Request) -> tuple[str, Door]:
        host, _slash, model = pick.partition("/")
        found = self._page.snapshot().hosts.get(host)
        if not found or not found.fleet:
            raise FleetError(f"{host}: its inventory has faults; see the tab Overview")
        if alias != OWN:
            changing(request)  # who may only look has a key of their own
            key = known_keys(found.given, self._page.inventory.folder).get(alias, "")
        if not key:
            raise FleetError("no key: enter one, or make one in the tab Keys")
        seen = self._page.seen().get(host) or {}
        if found.fleet.https.mode == "internal" and not seen.get("root_certificate"):
            raise FleetError(f"{host}: its root certificate has not been read yet; try again in a few seconds")
        return model, Door(endpoint(found.fleet, model), key, seen.get("root_certificate"))

    async def _asked(
        self, words: str, chat: list[dict[str, Any]], pick: str, alias: str, key: str, request: gr.Request
    ) -> AsyncIterator[Any]:
        if not words or not words.strip():
            yield words, chat
            return
        chat = [*chat, _said("user", words)]
        yield "", chat
        try:
            model, door = self._door(pick, alias, key, request)
            log.info("%s tries %s with the key %s", person_of(request).name, pick, alias if alias != OWN else "entered")
            messages = [{"role": one["role"], "content": _plain(one["content"])} for one in chat]
            async with door:
                answer = ""
                async for answer in door.chat(model, messages, MOST_TOKENS):
                    yield "", [*chat, _said("assistant", answer)]
                if not answer:
                    yield "", [*chat, _said("assistant", "(an empty answer)")]
        except FleetError as error:
            # The question goes back into its field, and is not sent again with the next one.
            yield words, chat[:-1]
            raise problem(error) from None

    async def _once(
        self, pick: str, alias: str, key: str, text: str, voice: str, audio: str | None, request: gr.Request
    ) -> list[Any]:
        row_type = self._type(pick)
        log.info("%s tries %s", person_of(request).name, pick)
        hidden = gr.update(visible=False)
        try:
            model, door = self._door(pick, alias, key, request)
            async with door:
                if row_type == "embedding":
                    vector = await door.embeddings(model, text)
                    first = ", ".join(f"{one:.4f}" for one in vector[:8])
                    return [parts.note(f"{len(vector)} dimensions: {first} …"), hidden, hidden]
                if row_type == "stt":
                    if not audio:
                        raise FleetError("choose a recording first")
                    return [parts.log(await door.transcription(model, Path(audio)), "Transcription"), hidden, hidden]
                if row_type == "tts":
                    return [
                        "",
                        gr.update(value=_kept(await door.speech(model, text, voice), ".wav"), visible=True),
                        hidden,
                    ]
                picture = base64.b64decode(await door.image(model, text))
                return ["", hidden, gr.update(value=_kept(picture, ".png"), visible=True)]
        except FleetError as error:
            raise problem(error) from None

    def _type(self, pick: str) -> str:
        host, _slash, model = pick.partition("/")
        found = self._page.snapshot().hosts.get(host)
        return next((str(one.get("type")) for one in (found.models if found else ()) if one.get("name") == model), "")


def _said(role: str, words: str) -> dict[str, str]:
    return {"role": role, "content": html.escape(words, quote=False)}


def _plain(content: Any) -> str:
    """What was said. Gradio gives texts as they are, or as parts."""
    parts_ = [content] if isinstance(content, str) else content or ()
    words = (str(part.get("text", "")) if isinstance(part, dict) else part for part in parts_)
    return html.unescape("".join(one for one in words if isinstance(one, str)))


def _kept(content: bytes, suffix: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=suffix, delete=False) as file:
        file.write(content)
    return file.name
