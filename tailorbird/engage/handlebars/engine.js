// Translates templates to JavaScript, loads and renders them. Everything comes and goes as JSON
// text: no template can reach anything but the endpoint it is rendered for.
"use strict";

var engine = (function () {
  const KEPT = 32; // compiled messages
  const POISON = new Set(["__proto__", "constructor", "prototype"]);
  // Below these, the rest of a name is one attribute's name, whatever it contains.
  const LIST_MAPS = ["User.UserAttributes", "Attributes", "Recommendations"];
  const MAPS = LIST_MAPS.concat("Metrics");
  const ROOTS = new Set(
    ("Address Attributes ChannelType CreationDate Demographic EffectiveDate EndpointStatus Id " +
      "Location Metrics OptOut RequestId User RecommendationItems Recommendations this").split(" "),
  );
  const compiled = new Map(); // key -> {parts: [[name, render]], defaults: [[path, value]]}

  // The lexer cuts its input off token by token and matches rules that begin with ^. This engine's
  // regular expressions would search on through the whole rest for each rule that does not match,
  // which takes seconds for 400 variables; sticky ones look only where the input begins.
  Handlebars.Parser.lexer.rules = Handlebars.Parser.lexer.rules.map((rule) => {
    const sticky = new RegExp(rule.source, rule.flags + "y");
    return {
      [Symbol.match](input) {
        sticky.lastIndex = 0;
        return sticky.exec(input);
      },
    };
  });

  // Handlebars prepares all helpers anew for each call of a template, but not for the partials in
  // it. So every part is called as a partial, with what one template gave its partial.
  const prepared = (function () {
    let given;
    const partial = (_, options) => ((given = options), "");
    Handlebars.compile("{{> partial}}")({}, { partials: { partial } });
    return { ...given, partials: {}, name: undefined, hash: {} };
  })();

  // Two numbers side by side, not escaped, would be added up; each is text before anything follows.
  const appended = Handlebars.JavaScriptCompiler.prototype.append;
  Handlebars.JavaScriptCompiler.prototype.append = function () {
    if (!this.isInline()) return appended.call(this);
    this.replaceStack((current) => [' != null ? "" + ', current, ' : ""']);
    this.pushSource(this.appendToBuffer(this.popStack()));
  };

  // What does not parse has a place: that of the token the parser did not expect.
  Handlebars.Parser.parseError = function (text) {
    const error = new Error(text);
    const at = this.lexer.yylloc;
    Object.assign(error, { lineNumber: at.first_line, column: at.first_column });
    throw error;
  };

  class Mistake extends Error {
    constructor(node, message) {
      super(message);
      this.lineNumber = node.loc.start.line;
      this.column = node.loc.start.column;
    }
  }

  // Finds what would only fail while sending: helpers that do not exist or get too few values,
  // and partials that are nowhere.
  function checker(tree) {
    const partials = new Set();
    const names = new Handlebars.Visitor();
    names.DecoratorBlock = function (block) {
      if (block.path.original !== "inline") throw new Mistake(block, "only inline partials exist");
      if (block.params.length) partials.add(String(block.params[0].value));
      Handlebars.Visitor.prototype.DecoratorBlock.call(this, block);
    };
    names.accept(tree);

    const visitor = new Handlebars.Visitor();
    for (const kind of ["MustacheStatement", "SubExpression", "BlockStatement"]) {
      visitor[kind] = function (node) {
        lenient(node);
        helperCall(node);
        Handlebars.Visitor.prototype[kind].call(this, node);
      };
    }
    const partial = (kind) =>
      function (node) {
        const name = node.name.original;
        const known = node.name.type === "SubExpression" || partials.has(String(name));
        if (!known && kind === "PartialStatement" && name !== "@partial-block")
          throw new Mistake(node, "there is no inline partial " + JSON.stringify(name));
        Handlebars.Visitor.prototype[kind].call(this, node);
      };
    visitor.PartialStatement = partial("PartialStatement");
    visitor.PartialBlockStatement = partial("PartialBlockStatement");
    return visitor;
  }

  // tz=America/Los_Angeles and inflect's bare words stand for themselves (user guide, examples).
  function lenient(node) {
    for (const pair of (node.hash && node.hash.pairs) || [])
      if (pair.key === "tz" && isBare(pair.value) && isZone(pair.value))
        pair.value = literal(pair.value);
    if (node.path.original === "inflect")
      for (const i of [1, 2])
        if (node.params[i] && isBare(node.params[i])) node.params[i] = literal(node.params[i]);
  }

  function isBare(path) {
    return path.type === "PathExpression" && !path.data && !path.depth && path.parts.length &&
      !ROOTS.has(path.parts[0]);
  }

  function literal(path) {
    return { type: "StringLiteral", value: path.original, original: path.original, loc: path.loc };
  }

  // A name with a slash is meant as a zone; one word only when there is such a zone.
  function isZone(path) {
    if (path.original.includes("/")) return true;
    try {
      return Boolean(dates.format(0, "z", path.original));
    } catch (error) {
      if (error instanceof dates.ZoneNeeded) throw error;
      return false;
    }
  }

  function helperCall(node) {
    const name = node.path.original;
    const values = node.params.length;
    const call = values || node.hash || node.type === "SubExpression";
    const limits = Object.hasOwn(helpers.VALUES, name) ? helpers.VALUES[name] : null;
    if (!limits && call) throw new Mistake(node, "there is no helper " + JSON.stringify(name));
    if (!limits) return;
    if (values < limits[0] || values > limits[1]) {
      const right = limits[0] === limits[1] ? limits[0] : limits[0] + " to " + limits[1];
      throw new Mistake(node, name + " has " + values + " values; it takes " + right);
    }
    for (const pair of (node.hash && node.hash.pairs) || [])
      if (pair.key === "tz" && pair.value.type === "StringLiteral") zoneNamed(pair.value);
  }

  function zoneNamed(node) {
    try {
      dates.format(0, "z", node.value);
    } catch (error) {
      if (error instanceof dates.ZoneNeeded) throw error;
      throw new Mistake(node, error.message);
    }
  }

  // The JavaScript of a part, made at once: nothing of it is left to the first rendering.
  function translated(source, escape) {
    const tree = Handlebars.parse(quotedZones(source));
    checker(tree).accept(tree);
    return Handlebars.precompile(tree, { noEscape: !escape, preventIndent: true });
  }

  // `+` cannot stand in a bare word, so tz=Etc/GMT+8 is put in quotes before parsing.
  function quotedZones(source) {
    return source.replace(/(\{\{[^{}]*\btz=)([A-Za-z]\w*(?:\/[\w+-]+)*\+[\w+-]+)/g, '$1"$2"');
  }

  // {script}, {needs: [zone]}, or {message, line, column} for one part.
  function translate(source, escape) {
    try {
      return JSON.stringify({ script: translated(source, escape) });
    } catch (error) {
      if (exhausted(error)) throw error;
      if (error instanceof dates.ZoneNeeded) return JSON.stringify({ needs: [error.zone] });
      return JSON.stringify(mistake(error));
    }
  }

  // The engine itself is at its end: the caller makes a new one.
  function exhausted(error) {
    if (error === null) return true; // no memory even for the error
    return error instanceof InternalError && error.message === "out of memory";
  }

  function mistake(error) {
    const parse = /^Parse error on line (\d+):\n(.*)\n(-*)\^\n?/.exec(error.message);
    if (parse) {
      const near = parse[2].trim();
      const message = "this is not Handlebars: " + near;
      return { line: error.lineNumber || Number(parse[1]), column: error.column + 1, message };
    }
    const message = error.message.replace(/ - \d+:\d+$/, "");
    if (error.lineNumber === undefined) return { message };
    return { line: error.lineNumber, column: error.column + 1, message };
  }

  // "User.UserAttributes.[Last Name].[0]" -> ["User", "UserAttributes", "Last Name"]
  function path(name) {
    const bare = name.replace(/\.\[\d+\]$/, "");
    const map = MAPS.find((prefix) => bare.startsWith(prefix + "."));
    if (!map) return bare.split(".");
    return [...map.split("."), bare.slice(map.length + 1).replace(/^\[(.*)\]$/, "$1")];
  }

  function paths(values) {
    return Object.entries(values)
      .map(([name, value]) => [path(name), value])
      .filter(([parts]) => !parts.some((part) => POISON.has(part)))
      .map(([parts, value]) => {
        const list = LIST_MAPS.includes(parts.slice(0, -1).join("."));
        return [parts, list && !Array.isArray(value) ? [value] : value];
      });
  }

  function put(data, [parts, value], override) {
    let owner = data;
    for (const part of parts.slice(0, -1)) {
      if (!Object.hasOwn(owner, part) || owner[part] === null) owner[part] = {};
      owner = owner[part];
      if (typeof owner !== "object") return;
    }
    const last = parts[parts.length - 1];
    const there = Object.hasOwn(owner, last) ? owner[last] : null;
    const empty = there === null || (Array.isArray(there) && !there.length);
    if (override || empty) owner[last] = value;
  }

  // parts: [[name, script]...] of translate; defaults: {dotted name: value}
  function load(key, partsJson, defaultsJson) {
    const parts = JSON.parse(partsJson).map(([name, script]) => [
      name,
      Handlebars.template((0, eval)("(" + script + ")")),
    ]);
    if (compiled.size >= KEPT) compiled.delete(compiled.keys().next().value);
    compiled.set(key, { parts, defaults: paths(JSON.parse(defaultsJson)) });
  }

  function renderOne(message, data) {
    const { TailorbirdSubstitutions: given, ...endpoint } = data;
    if (given) for (const entry of paths(given)) put(endpoint, entry, true);
    for (const entry of message.defaults) put(endpoint, entry, false);
    const options = { ...prepared, data: { root: endpoint } };
    return message.parts.map(([name, render]) => {
      try {
        return render(endpoint, options);
      } catch (error) {
        if (!exhausted(error)) error.part = name;
        throw error;
      }
    });
  }

  // [[part, ...] or {part, message} for each endpoint], or {needs: [zone]}; run again with those.
  function render(key, endpointsJson, now, seed, eachLimit) {
    const message = compiled.get(key);
    compiled.delete(key); // the map keeps order: what was used last is dropped last
    compiled.set(key, message);
    Object.assign(helpers.state, { now, seed, serial: 0, eachLimit });
    const needs = new Set();
    const results = JSON.parse(endpointsJson).map((endpoint) => {
      try {
        return renderOne(message, endpoint);
      } catch (error) {
        if (exhausted(error)) throw error;
        if (error instanceof dates.ZoneNeeded) needs.add(error.zone);
        return { part: error.part, message: error.message };
      }
    });
    return JSON.stringify(needs.size ? { needs: [...needs] } : results);
  }

  function addZone(name, json) {
    dates.addZone(name, JSON.parse(json));
  }

  return { translate, load, render, addZone, has: (key) => compiled.has(key) };
})();
