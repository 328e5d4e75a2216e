// What the engine has to know of schema.prisma beyond what it hands to Prisma: which fields
// hold JSON, which are relations, and how an operation's name splits into action and model.

const MODEL = /^model\s+(\w+)\s*\{([^]*?)^\}/gm;
const FIELD = /^\s+(\w+)\s+(\w+)/gm;
const GENERATOR = /^generator\s+\w+\s*\{[^]*?^\}/gm;
const URL_VARIABLE = /^datasource\s+\w+\s*\{[^}]*?\burl\s*=\s*env\("(\w+)"\)/m;
const WASM_GENERATOR = `generator engine {
  provider        = "prisma-client-js"
  previewFeatures = ["driverAdapters"]
}`;

/** Action of the JSON protocol -> what stands before and after the model in GraphQL. */
const ACTIONS = {
  aggregate: ["aggregate", ""],
  createMany: ["createMany", ""],
  createOne: ["createOne", ""],
  deleteMany: ["deleteMany", ""],
  deleteOne: ["deleteOne", ""],
  findFirst: ["findFirst", ""],
  findFirstOrThrow: ["findFirst", "OrThrow"],
  findMany: ["findMany", ""],
  findUnique: ["findUnique", ""],
  findUniqueOrThrow: ["findUnique", "OrThrow"],
  groupBy: ["groupBy", ""],
  updateMany: ["updateMany", ""],
  updateOne: ["updateOne", ""],
  upsertOne: ["upsertOne", ""],
};

export const JSON_FIELD = Symbol("Json");

/** The schema as the WebAssembly engine takes it: it refuses one without `driverAdapters`. */
export function forWasm(text) {
  return `${text.replace(GENERATOR, "")}\n${WASM_GENERATOR}\n`;
}

export class Schema {
  constructor(text) {
    const bodies = new Map([...text.matchAll(MODEL)].map(([, name, body]) => [name, body]));
    this.models = new Map([...bodies].map(([name, body]) => [name, fields(body, bodies)]));
    this.operations = operations(this.models.keys());
    this.urlVariable = URL_VARIABLE.exec(text)[1];
  }

  /** Field name -> JSON_FIELD or the name of the related model; plain fields are not in it. */
  fields(model) {
    return this.models.get(model);
  }

  /** `{action, modelName}` of a GraphQL operation such as `findUniqueUserOrThrow`, or undefined. */
  operation(name) {
    return this.operations.get(name);
  }
}

function fields(body, models) {
  const found = new Map();
  for (const [, name, type] of body.matchAll(FIELD)) {
    if (type === "Json") found.set(name, JSON_FIELD);
    else if (models.has(type)) found.set(name, type);
  }
  return found;
}

function operations(models) {
  const found = new Map([
    ["queryRaw", { action: "queryRaw" }],
    ["executeRaw", { action: "executeRaw" }],
  ]);
  for (const modelName of models) {
    for (const [action, [before, after]] of Object.entries(ACTIONS)) {
      found.set(`${before}${modelName}${after}`, { action, modelName });
    }
  }
  return found;
}
