// Prisma's own query engine for PostgreSQL, as WebAssembly.
//
// What comes out of npm are the two halves of a wasm-bindgen module; joining them is what
// @prisma/client does too, in a runtime that is made for generated JavaScript clients.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const NO_TRACING = "{}";

export async function startEngine(datamodel, adapter) {
  const glue = require("@prisma/client/runtime/query_engine_bg.postgresql.js");
  const bytes = readFileSync(require.resolve("@prisma/client/runtime/query_engine_bg.postgresql.wasm"));
  const { instance } = await WebAssembly.instantiate(bytes, { "./query_engine_bg.js": glue });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start?.();
  const engine = new glue.QueryEngine({ datamodel, logLevel: "error", logQueries: false }, () => {}, adapter);
  await engine.connect(NO_TRACING);
  return new Engine(engine);
}

/** Every method takes and gives plain objects; what the engine refuses comes as `{errors}`. */
class Engine {
  constructor(engine) {
    this.engine = engine;
  }

  query(request, transactionId) {
    return answered(this.engine.query(JSON.stringify(request), NO_TRACING, transactionId));
  }

  startTransaction(options) {
    return answered(this.engine.startTransaction(JSON.stringify(options), NO_TRACING));
  }

  commit(id) {
    return answered(this.engine.commitTransaction(id, NO_TRACING));
  }

  rollback(id) {
    return answered(this.engine.rollbackTransaction(id, NO_TRACING));
  }
}

async function answered(promise) {
  let text;
  try {
    text = await promise;
  } catch (error) {
    // A panic leaves the module's memory in an unknown state.
    if (error instanceof WebAssembly.RuntimeError) throw error;
    return { errors: [refusal(error)] };
  }
  const response = text ? JSON.parse(text) : {};
  return response.error_code ? { errors: [refusal(response)] } : response;
}

function refusal(error) {
  const known = error.error_code ? error : parsed(error.message ?? String(error));
  return { error: known.message, user_facing_error: known };
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    if (value && typeof value.message === "string") return value;
  } catch {
    // Not one of the engine's structured errors.
  }
  return { is_panic: false, message: text, backtrace: null };
}
