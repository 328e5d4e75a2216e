// Reads the GraphQL that Prisma's Python client writes: one operation, no variables, no
// fragments, no directives. Its values are JSON literals (and bare enum names), which is why
// the whole of GraphQL is not needed; parsing takes microseconds.

const BLANK = /[\s,]*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const WHOLE = /^-?\d+$/;
const WORDS = { true: true, false: false, null: null };
const BACKSLASH = 92;

export class GraphqlError extends Error {}

/** A whole number outside of what a JavaScript number holds exactly; `text` has its digits. */
export class BigNumber {
  constructor(text) {
    this.text = text;
  }
}

/**
 * The fields an operation asks for: `[{name, alias, arguments, selection}]`, `selection`
 * again such a list or null. Throws GraphqlError.
 */
export function parse(text) {
  return new Parser(text).operation();
}

class Parser {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  operation() {
    this.blank();
    if (this.peek() !== "{" && !["query", "mutation"].includes(this.name())) {
      this.fail("query or mutation");
    }
    const fields = this.selection();
    this.blank();
    if (this.at !== this.text.length) this.fail("the end");
    return fields;
  }

  selection() {
    this.take("{");
    const fields = [];
    while (!this.skip("}")) fields.push(this.field());
    return fields;
  }

  field() {
    let name = this.name();
    let alias = name;
    if (this.skip(":")) {
      this.blank();
      name = this.name();
    }
    const values = this.skip("(") ? this.members(")") : {};
    this.blank();
    const selection = this.peek() === "{" ? this.selection() : null;
    return { name, alias, arguments: values, selection };
  }

  members(end) {
    const values = {};
    while (!this.skip(end)) {
      const key = this.name();
      this.take(":");
      values[key] = this.value();
    }
    return values;
  }

  value() {
    this.blank();
    const first = this.peek();
    if (first === '"') return this.string();
    if (this.skip("{")) return this.members("}");
    if (this.skip("[")) {
      const items = [];
      while (!this.skip("]")) items.push(this.value());
      return items;
    }
    const number = this.match(NUMBER);
    if (number !== null) return exact(number);
    const word = this.name();
    return word in WORDS ? WORDS[word] : word;
  }

  /** Found with indexOf: a regular expression would run out of stack on a long prompt. */
  string() {
    let end = this.at;
    do {
      end = this.text.indexOf('"', end + 1);
      if (end < 0) this.fail("the end of a string");
    } while (this.escaped(end));
    const literal = this.text.slice(this.at, end + 1);
    this.at = end + 1;
    return JSON.parse(literal);
  }

  escaped(quote) {
    let backslashes = 0;
    while (this.text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    return backslashes % 2 === 1;
  }

  name() {
    return this.match(NAME) ?? this.fail("a name");
  }

  take(sign) {
    if (!this.skip(sign)) this.fail(sign);
  }

  skip(sign) {
    this.blank();
    if (this.peek() !== sign) return false;
    this.at += 1;
    this.blank();
    return true;
  }

  peek() {
    return this.text[this.at];
  }

  blank() {
    this.match(BLANK);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.at = pattern.lastIndex;
    return found[0];
  }

  fail(expected) {
    throw new GraphqlError(`query parsing failed at ${this.at}: expected ${expected}`);
  }
}

function exact(text) {
  const number = Number(text);
  return WHOLE.test(text) && !Number.isSafeInteger(number) ? new BigNumber(text) : number;
}
