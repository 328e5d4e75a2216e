// The HTTP interface of Prisma's query-engine binary, as far as Prisma's Python client uses it.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { connect } from "./database.js";
import { startEngine } from "./engine.js";
import { GraphqlError } from "./graphql.js";
import { answer, Protocol } from "./protocol.js";
import { forWasm, Schema } from "./schema.js";

const TRANSACTION = /^\/transaction\/([^/]+)\/(commit|rollback)$/;

/** Listens once the engine can take queries. `environment` has the schema's `env("…")`. */
export async function start(port, schemaPath, environment) {
  const text = readFileSync(schemaPath, "utf8");
  const schema = new Schema(text);
  const database = connect(databaseUrl(schema, environment));
  const engine = await startEngine(forWasm(text), database);
  const server = createServer(listener(new Routes(engine, new Protocol(schema))));
  // The client keeps its connections for as long as it likes and takes a closed one for an
  // engine that died.
  server.keepAliveTimeout = 0;
  server.listen(port, "127.0.0.1");
}

/** The client's own choice of a database comes in OVERWRITE_DATASOURCES: `[{name, url}]`. */
function databaseUrl(schema, environment) {
  const [chosen] = JSON.parse(environment.OVERWRITE_DATASOURCES ?? "[]");
  return chosen?.url ?? environment[schema.urlVariable];
}

class Routes {
  constructor(engine, protocol) {
    this.engine = engine;
    this.protocol = protocol;
  }

  /** What to answer, or undefined where there is nothing at that path. */
  async respond({ method, url, headers }, body) {
    if (method === "GET") return url === "/status" ? { status: "ok" } : undefined;
    if (url === "/") return this.query(JSON.parse(body), headers["x-transaction-id"]);
    if (url === "/transaction/start") return this.engine.startTransaction(JSON.parse(body));
    const [, id, end] = TRANSACTION.exec(url) ?? [];
    return end && this.engine[end](id);
  }

  async query(body, transactionId) {
    let request;
    try {
      request = this.protocol.request(body);
    } catch (error) {
      if (!(error instanceof GraphqlError)) throw error;
      const { message } = error;
      return { errors: [{ error: message, user_facing_error: { is_panic: false, message } }] };
    }
    return answer(await this.engine.query(request, transactionId));
  }
}

/** Whatever `routes` throws ends the process: LiteLLM sees that and starts a new one. */
function listener(routes) {
  return async (request, response) => {
    const body = await received(request);
    if (body === undefined) return;
    const result = await routes.respond(request, body);
    response.writeHead(result ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(result ?? {}));
  };
}

/** The request's body, or undefined where the client gave up while it sent it. */
async function received(request) {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString();
}
