// Prisma's own query engine for PostgreSQL, as WebAssembly.
//
// What comes out of npm are the two halves of a wasm-bindgen module; joining them is what
// @prisma/client does too, in a runtime that is made for generated JavaScript clients.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const NO_TRACING = "{}";

/** `database`: see database.js. */
export async function startEngine(datamodel, database) {
  const glue = require("@prisma/client/runtime/query_engine_bg.postgresql.js");
  const bytes = readFileSync(require.resolve("@prisma/client/runtime/query_engine_bg.postgresql.wasm"));
  const { instance } = await WebAssembly.instantiate(bytes, { "./query_engine_bg.js": glue });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start?.();
  const engine = new glue.QueryEngine({ datamodel, logLevel: "error", logQueries: false }, () => {}, database.adapter);
  await engine.connect(NO_TRACING);
  return new Engine(engine, database);
}

/** Every method takes and gives plain objects; what the engine refuses comes as `{errors}`. */
class Engine {
  constructor(engine, database) {
    this.engine = engine;
    this.database = database;
  }

  query(request, transactionId) {
    return this.answered(this.engine.query(JSON.stringify(request), NO_TRACING, transactionId));
  }

  startTransaction(options) {
    return this.answered(this.engine.startTransaction(JSON.stringify(options), NO_TRACING));
  }

  commit(id) {
    return this.answered(this.engine.commitTransaction(id, NO_TRACING));
  }

  rollback(id) {
    return this.answered(this.engine.rollbackTransaction(id, NO_TRACING));
  }

  async answered(promise) {
    let text;
    try {
      text = await promise;
    } catch (error) {
      // A panic leaves the module's memory in an unknown state.
      if (error instanceof WebAssembly.RuntimeError) throw error;
      return { errors: [this.refusal(userFacing(error))] };
    }
    const response = text ? JSON.parse(text) : {};
    if (response.error_code) return { errors: [this.refusal(response)] };
    if (!response.errors) return response;
    return { errors: response.errors.map((error) => this.refusal(error.user_facing_error)) };
  }

  refusal(error) {
    const known = this.database.explained(error);
    return { error: known.message, user_facing_error: known };
  }
}

/** The structured error that the engine threw, or one around whatever else was thrown. */
function userFacing(error) {
  const text = error.message ?? String(error);
  try {
    const value = JSON.parse(text);
    if (typeof value?.message === "string") return value;
  } catch {
    // Not one of the engine's own.
  }
  return { is_panic: false, message: text };
}
