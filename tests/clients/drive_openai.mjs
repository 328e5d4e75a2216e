// OpenAI's own SDK for JavaScript, in Node: the same as drive_openai.py. Target and result: driver.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The SDK is beside package.json's copy in .cache/clients, the folder in which this is started.
const { default: OpenAI, toFile } = await import(
  pathToFileURL(createRequire(`${process.cwd()}/`).resolve("openai")).href
);

const { target, shared } = JSON.parse(readFileSync(0, "utf8"));
const { models, keys, said } = target;
const question = { role: "user", content: shared.question };
const png = Buffer.from(shared.png, "base64");
const sound = Buffer.from(shared.recording, "base64");

const client = (key = "good", options = {}) =>
  new OpenAI({ baseURL: `${target.url}/v1`, apiKey: keys[key], maxRetries: 0, ...options });
const chat = ({ key, model = "chat", options, ...body } = {}) =>
  client(key, options).chat.completions.create({ model: models[model], messages: [question], max_tokens: 8, ...body });
const fits = (text) => {
  const value = JSON.parse(text);
  assert(typeof value.city === "string" && Number.isInteger(value.degrees), text);
};
const isPng = (text) => assert.equal(Buffer.from(text, "base64").toString("latin1").slice(1, 4), "PNG");
const tool = { type: "function", function: shared.tool };
const transcribe = async (options) =>
  client().audio.transcriptions.create({ model: models.stt, file: await toFile(sound, "a.wav"), ...options });

async function raised(about, call) {
  try {
    await call();
  } catch (error) {
    const told = error.message;
    const missing = (said[about] ?? []).filter((one) => !told.includes(one));
    assert(missing.length === 0, `${error.constructor.name} does not say ${missing}: ${told.slice(0, 300)}`);
    const leaked = target.unsaid.filter((one) => told.includes(one));
    assert(leaked.length === 0, `${error.constructor.name} says ${leaked}: ${told.slice(0, 300)}`);
    return `raises ${error.constructor.name}${error.status ? ` (${error.status})` : ""}`;
  }
  throw new Error("no error");
}

const features = {
  chat: async () => {
    const answer = await chat();
    assert(answer.choices[0].message.content && answer.usage.completion_tokens === 8);
  },
  streaming: async () => {
    const times = [];
    for await (const part of await chat({ model: "slow", stream: true })) {
      if (part.choices[0]?.delta.content) times.push(performance.now());
    }
    assert(times.length >= 5 && times.at(-1) - times[0] > 1000 * shared.apart_s, `${times.length} parts`);
  },
  tools: async () => {
    const [call] = (await chat({ tools: [tool], max_tokens: 200 })).choices[0].message.tool_calls;
    assert.equal(call.function.name, shared.tool.name);
    fits(call.function.arguments);
    const body = { model: models.chat, messages: [question], tools: [tool], tool_choice: "required" };
    const streamed = await client().chat.completions.stream(body).finalChatCompletion();
    fits(streamed.choices[0].message.tool_calls[0].function.arguments);
  },
  "JSON schema": async () => {
    const format = { type: "json_schema", json_schema: { name: "weather", schema: shared.schema, strict: true } };
    fits((await chat({ response_format: format, max_tokens: 200 })).choices[0].message.content);
  },
  "images as input": async () => {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${shared.png}` } };
    const content = [{ type: "text", text: "What is it?" }, image];
    const answer = await chat({ model: "vision", messages: [{ role: "user", content }] });
    assert(answer.choices[0].message.content.includes(`${png.length} bytes`));
  },
  responses: async () => {
    const body = { model: models.real, input: shared.question, max_output_tokens: 16 };
    assert((await client().responses.create(body)).output_text);
  },
  embeddings: async () => {
    const { data } = await client().embeddings.create({ model: models.embedding, input: shared.documents });
    assert(data.length === shared.documents.length && data[0].embedding.length > shared.dimensions);
  },
  "embeddings with dimensions": async () => {
    const body = { model: models.embedding, input: "Hi", dimensions: shared.dimensions };
    assert.equal((await client().embeddings.create(body)).data[0].embedding.length, shared.dimensions);
  },
  transcription: async () => void assert((await transcribe()).text.includes(`${sound.length} bytes`)),
  "verbose transcription": async () => {
    const answer = await transcribe({ response_format: "verbose_json" });
    assert(answer.segments[0].text && answer.duration >= 1);
  },
  "streamed transcription": async () => {
    const parts = [];
    for await (const event of await transcribe({ stream: true })) parts.push(event.delta ?? "");
    assert(parts.length > 1 && parts.join("").includes(`${sound.length} bytes`), JSON.stringify(parts));
  },
  "transcription as text": async () => {
    const answer = await transcribe({ response_format: "text" });
    assert(answer.includes(`${sound.length} bytes`) && !answer.includes("{"), answer);
  },
  speech: async () => {
    const body = { model: models.tts, voice: "alloy", input: shared.question, response_format: "wav" };
    const answer = Buffer.from(await (await client().audio.speech.create(body)).arrayBuffer());
    assert(answer.toString("latin1", 0, 4) === "RIFF" && answer.length > 1000);
  },
  images: async () => {
    const body = { model: models.image, prompt: "a house", size: "64x64", response_format: "b64_json" };
    isPng((await client().images.generate(body)).data[0].b64_json);
  },
  "image edits": async () => {
    const image = await toFile(png, "a.png", { type: "image/png" });
    const body = { model: models.image, image, prompt: "a red house", size: "64x64" };
    isPng((await client().images.edit(body)).data[0].b64_json);
  },
  rerank: async () => {
    const body = { model: models.rerank, query: "weather in Oslo", documents: shared.documents };
    assert.equal((await client().post("/rerank", { body })).results[0].index, shared.best);
  },
  "list of models": async () => {
    const found = [];
    for await (const model of client().models.list()) found.push(model.id);
    assert(found.includes(models.chat), found);
  },
  "one model": async () => void assert.equal((await client().models.retrieve(models.chat)).id, models.chat),
  retries: async () => {
    let sent = 0;
    const counted = (...request) => (sent++, fetch(...request));
    await raised("down", () => chat({ model: "down", options: { maxRetries: 1, fetch: counted } }));
    assert.equal(sent, 2);
  },
  "wrong key": () => raised("wrong", () => chat({ key: "wrong" })),
  "unknown model": () => raised("unknown", () => chat({ model: "unknown" })),
  "bad request": () => raised("bad", () => chat({ max_tokens: -1 })),
  // Caddy answers before it has the body, and hangs up: whether a client that still sends hears that is a matter of milliseconds.
  "too large": async () => {
    const ask = () => raised("large", () => chat({ messages: [{ role: "user", content: "x".repeat(shared.too_large) }] }));
    let told = await ask();
    for (let time = 0; time < 10 && !told.includes("("); time++) told = await ask();
    return told;
  },
  "over the limit": async () => {
    for (let request = 0; request < 3; request++) await chat({ key: "limited" }).catch(() => {});
    return raised("limited", () => chat({ key: "limited" }));
  },
  "no replica up": () => raised("down", () => chat({ model: "down" })),
};

const attempt = async (feature) => {
  try {
    return (await feature()) ?? "works";
  } catch (error) {
    return `fails: ${error.constructor.name}: ${error.message.slice(0, 300)}`;
  }
};
// Those that wait run beside the others, of which one runs after the other.
const waiting = new Map(shared.waiting.map((name) => [name, attempt(features[name])]));
const found = {};
for (const name of Object.keys(features)) found[name] = await (waiting.get(name) ?? attempt(features[name]));
process.stdout.write(JSON.stringify(found));
