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
    return { ...operation, query: this.selected(field, operation.modelName) };
  }

  /** `model` is undefined below what is no model: raw queries and aggregates. */
  selected({ arguments: values, selection }, model) {
    const fields = this.schema.fields(model);
    const chosen = {};
    for (const field of selection ?? []) {
      chosen[field.name] = field.selection ? this.selected(field, fields?.get(field.name)) : true;
    }
    return { arguments: plain(model ? this.arguments(values, model) : values), selection: chosen };
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

/** The engine's answer as GraphQL clients get it: plain values, named `result`. */
export function answer(response) {
  if (response.batchResult) return { ...response, batchResult: response.batchResult.map(answer) };
  if (!response.data) return response;
  const [[operation, value]] = Object.entries(response.data);
  return { data: { result: operation === "queryRaw" ? rawRows(value) : untagged(value) } };
}

/** Rows as engines up to 5.4, for which the Python client is made, write those of raw queries. */
function rawRows({ columns, types, rows }) {
  return rows.map((row) =>
    Object.fromEntries(row.map((value, at) => [columns[at], rawValue(value, types[at])])),
  );
}

function rawValue(value, type) {
  if (value === null) return { prisma__type: "null", prisma__value: null };
  const [itemType, array] = type.split("-");
  if (!array) return { prisma__type: type, prisma__value: value };
  return { prisma__type: "array", prisma__value: value.map((item) => rawValue(item, itemType)) };
}

function untagged(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(untagged);
  return "$type" in value ? value.value : mapped(value, untagged);
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
