// Turns GraphQL requests into the engine's JSON protocol and its answers back.
//
// The two differ in more than syntax: in the JSON protocol, JSON travels as
// `{"$type": "Json", "value": "<text>"}` where GraphQL has a plain string, so one has to know
// which arguments are of JSON fields. That is a walk along the schema, below.

import { BigNumber, GraphqlError, parse } from "./graphql.js";
import { JSON_FIELD } from "./schema.js";

const JSON_FILTERS = new Set([
  "equals", "not", "array_contains", "array_starts_with", "array_ends_with", "lt", "lte", "gt", "gte",
]);

export class Protocol {
  constructor(schema) {
    this.schema = schema;
  }

  /** A body of `POST /` as the engine takes it. Throws GraphqlError. */
  request(body) {
    if (!Array.isArray(body.batch)) return this.query(body.query);
    const transaction = body.transaction ? { isolationLevel: body.isolation_level ?? null } : null;
    return { batch: body.batch.map((item) => this.query(item.query)), transaction };
  }

  query(text) {
    const [field, ...more] = parse(text);
    const operation = field && this.schema.operation(field.name);
    if (!operation || more.length) throw new GraphqlError(`unknown operation ${field?.name}`);
    const values = operation.modelName
      ? this.arguments(field.arguments, operation.modelName)
      : field.arguments;
    return { ...operation, query: { arguments: plain(values), selection: selection(field.selection) } };
  }

  arguments(values, model) {
    return mapped(values, (value, key) => {
      if (key === "where" || key === "having" || key === "cursor") return this.filter(value, model);
      if (key === "data" || key === "create" || key === "update") return this.write(value, model);
      return value;
    });
  }

  filter(value, model) {
    if (Array.isArray(value)) return value.map((item) => this.filter(item, model));
    const fields = this.schema.fields(model);
    return mapped(value, (item, key) => {
      if (key === "AND" || key === "OR" || key === "NOT") return this.filter(item, model);
      const type = fields.get(key);
      if (type === JSON_FIELD) {
        return isObject(item)
          ? mapped(item, (operand, name) => (JSON_FILTERS.has(name) ? json(operand) : operand))
          : json(item);
      }
      return type ? this.relationFilter(item, type) : item;
    });
  }

  relationFilter(value, model) {
    const fields = this.schema.fields(model);
    const quantified = ["is", "isNot", "some", "every", "none"].some((key) => key in (value ?? {}));
    if (!quantified || fields.has("is")) return this.filter(value, model);
    return mapped(value, (item) => this.filter(item, model));
  }

  write(value, model) {
    if (Array.isArray(value)) return value.map((item) => this.write(item, model));
    const fields = this.schema.fields(model);
    return mapped(value, (item, key) => {
      const type = fields.get(key);
      if (type === JSON_FIELD) return isObject(item) ? mapped(item, json) : json(item);
      return type ? this.nestedWrite(item, type) : item;
    });
  }

  nestedWrite(value, model) {
    return mapped(value, (item, key) => this.eachNestedWrite(item, key, model));
  }

  eachNestedWrite(item, key, model) {
    if (Array.isArray(item)) return item.map((one) => this.eachNestedWrite(one, key, model));
    if (key === "create") return this.write(item, model);
    if (key === "update" && !("data" in (item ?? {}))) return this.write(item, model);
    if (["connectOrCreate", "createMany", "update", "updateMany", "upsert"].includes(key)) {
      return this.arguments(item, model);
    }
    return this.filter(item, model);
  }
}

/** The engine's answer as GraphQL clients get it: plain values under the field's alias. */
export function answer(response) {
  if (response.batchResult) return { ...response, batchResult: response.batchResult.map(answer) };
  if (!response.data) return response;
  const [value] = Object.values(response.data);
  return { data: { result: untagged(value) } };
}

function untagged(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(untagged);
  return "$type" in value ? value.value : mapped(value, untagged);
}

function selection(fields) {
  const chosen = {};
  for (const { name, arguments: values, selection: inner } of fields ?? []) {
    chosen[name] = inner ? { arguments: plain(values), selection: selection(inner) } : true;
  }
  return chosen;
}

/** Tags a JSON text, or each of a list of them (`Json[]`). */
function json(value) {
  if (Array.isArray(value)) return value.map(json);
  return value === null ? null : { $type: "Json", value: typeof value === "string" ? value : JSON.stringify(value) };
}

/** Replaces what JSON.stringify cannot write. */
function plain(value) {
  if (value instanceof BigNumber) return { $type: "BigInt", value: value.text };
  if (Array.isArray(value)) return value.map(plain);
  return isObject(value) ? mapped(value, plain) : value;
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof BigNumber);
}

function mapped(object, change) {
  if (!isObject(object)) return object;
  const result = {};
  for (const key in object) result[key] = change(object[key], key);
  return result;
}
