// PostgreSQL for the engine: Prisma's own adapter for the `pg` package, and what it lacks
// against the connector that is built into Prisma's binaries.

import { PrismaPg } from "@prisma/adapter-pg";
import { bindAdapter } from "@prisma/driver-adapter-utils";
import pg from "pg";

const CONNECTIONS = 10;
const WAIT_S = 10;
const IDLE_S = 300;
/** Types of the system catalogue's columns -> text and text[], which they are read as. */
const READ_AS = new Map([[18, 25], [19, 25], [1003, 1009]]);
for (const [type, as] of READ_AS) pg.types.setTypeParser(type, pg.types.getTypeParser(as));
/** SQLSTATEs of a server that is going down or not up yet. */
const NOT_SERVING = /^57P/;
/** The engine's code for an adapter that threw. */
const THROWN = "P2036";
const POOL_EXHAUSTED = "timeout exceeded when trying to connect";

/** `text`: a URL with Prisma's parameters. Connections are made when the first query comes. */
export function connect(text) {
  const url = new URL(text);
  const parameters = url.searchParams;
  const seconds = (name, otherwise) => 1000 * Number(parameters.get(name) ?? otherwise);
  // The adapter takes every timestamp that it reads for UTC.
  parameters.set("options", `${parameters.get("options") ?? ""} -c TimeZone=UTC`.trim());
  const pool = new pg.Pool({
    connectionString: url.href,
    max: Number(parameters.get("connection_limit") ?? CONNECTIONS),
    connectionTimeoutMillis: seconds("pool_timeout", WAIT_S),
    idleTimeoutMillis: seconds("max_idle_connection_lifetime", IDLE_S),
    keepAlive: true,
  });
  // A lost connection is told by the query on it; one without a query is just replaced.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return new Database(bindAdapter(new Adapter(pool)), url.host);
}

class Database {
  constructor(adapter, host) {
    this.adapter = adapter;
    this.host = host;
  }

  /** What the client has to be told where the engine knows no more than that `pg` threw. */
  explained(known) {
    if (known.error_code !== THROWN) return known;
    const registry = this.adapter.errorRegistry;
    const { id } = known.meta;
    const { message } = registry.consumeError(id).error;
    delete registry.registeredErrors[id];
    return message === POOL_EXHAUSTED
      ? userFacing("P2024", `Timed out fetching a new connection from the connection pool: ${message}`)
      : userFacing("P1001", `Can't reach database server at \`${this.host}\`: ${message}`);
  }
}

function userFacing(code, message) {
  return { is_panic: false, error_code: code, message, meta: {} };
}

class Adapter extends PrismaPg {
  constructor(pool) {
    super(pool);
    adjust(this);
  }

  async startTransaction() {
    const started = await super.startTransaction();
    adjust(started.value);
    releaseOnceLost(started.value.client);
    return started;
  }
}

function adjust(queryable) {
  const performIO = queryable.performIO.bind(queryable);
  queryable.performIO = async (query) => {
    const result = await performIO(query);
    if (!result.ok && NOT_SERVING.test(result.error.code)) throw new Error(result.error.message);
    for (const field of result.value?.fields ?? []) {
      field.dataTypeID = READ_AS.get(field.dataTypeID) ?? field.dataTypeID;
    }
    return result;
  };
}

/** The engine gives a transaction's connection back only after a COMMIT or ROLLBACK on it. */
function releaseOnceLost(client) {
  const { release } = client;
  const lost = () => client.release(true);
  let released = false;
  client.release = (error) => {
    if (released) return;
    released = true;
    client.off("end", lost);
    release(error);
  };
  client.once("end", lost);
}
