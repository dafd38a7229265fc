// The helpers of Pinpoint's message templates, beside the ones Handlebars has of its own.
// Source: Pinpoint user guide, "Using message template helpers"; where it leaves a choice, the
// documented behaviour of handlebars.java, which has the same helpers, decides.
"use strict";

var helpers = (function () {
  const DECIMALS = 8; // of add, subtract, multiply, divide, modulo
  const ABBREVIATION_MIN = 4; // one character and the ellipsis
  const PADDED_MAX = 10000; // characters; a bound on what a typing error can produce
  const state = { now: 0, seed: "", serial: 0, eachLimit: 15 };

  // How many values each helper takes: [least, most].
  const VALUES = {
    if: [1, 1], unless: [1, 1], each: [1, 1], with: [1, 1], lookup: [2, 2], log: [0, 9],
    and: [2, Infinity], or: [2, Infinity], not: [1, 1],
    eq: [2, 2], neq: [2, 2], gt: [2, 2], gte: [2, 2], lt: [2, 2], lte: [2, 2],
    abbreviate: [2, 2], capitalize: [1, 1], capitalizeFirst: [1, 1], lower: [1, 1], upper: [1, 1],
    center: [1, 2], ljust: [1, 2], rjust: [1, 2], cut: [1, 2], replace: [3, 3],
    substring: [2, 3], slugify: [1, 1], stripTags: [1, 1], join: [2, Infinity],
    inflect: [3, 3], ordinalize: [1, 1], yesno: [1, 1], dateFormat: [1, 2], now: [0, 1],
    add: [2, 2], subtract: [2, 2], multiply: [2, 2], divide: [2, 2], modulo: [2, 2],
    round: [1, 1], floor: [1, 1], ceiling: [1, 1],
    md5: [1, 1], sha256: [1, 1], sha512: [1, 1], encode64: [1, 1], decode64: [1, 1], uuid: [0, 0],
  };

  function missing(value) {
    return value === undefined || value === null || (Array.isArray(value) && !value.length);
  }

  // Attributes are lists; a list of one stands for its only value.
  function single(value) {
    return Array.isArray(value) && value.length === 1 ? value[0] : value;
  }

  function text(value) {
    return missing(value) ? "" : String(single(value));
  }

  function number(value) {
    const bare = single(value);
    if (typeof bare === "number") return bare;
    return typeof bare === "string" && bare.trim() !== "" ? Number(bare) : NaN;
  }

  function truth(value) {
    return Boolean(value) && !Handlebars.Utils.isEmpty(value);
  }

  function option(options, name, otherwise) {
    return Object.hasOwn(options.hash, name) ? options.hash[name] : otherwise;
  }

  function register(name, helper) {
    Handlebars.registerHelper(name, function (...values) {
      const options = values.pop();
      try {
        return helper.call(this, values, options);
      } catch (error) {
        if (!(error instanceof dates.ZoneNeeded)) error.message = name + ": " + error.message;
        throw error;
      }
    });
  }

  function condition(name, test) {
    register(name, function (values, options) {
      const result = test(...values);
      if (options.fn) return result ? options.fn(this) : options.inverse(this);
      return result ? option(options, "yes", true) : option(options, "no", false);
    });
  }

  // A helper whose result is empty when its first value is missing.
  function words(name, helper) {
    register(name, (values, options) =>
      missing(values[0]) ? "" : helper(text(values[0]), values.slice(1), options),
    );
  }

  function arithmetic(name, calculate) {
    register(name, (values) => {
      if (values.some(missing)) return "";
      const numbers = values.map((value) => {
        const read = number(value);
        if (!Number.isFinite(read)) throw new Error(JSON.stringify(value) + " is not a number");
        return read;
      });
      const result = calculate(...numbers);
      if (!Number.isFinite(result)) throw new Error(numbers.join(" and ") + " give no number");
      return decimal(result);
    });
  }

  // At most 8 decimals, never in scientific notation.
  function decimal(value) {
    if (Math.abs(value) >= 1e21) return String(value);
    const fixed = value.toFixed(DECIMALS).replace(/\.?0+$/, "");
    return fixed === "-0" ? "0" : fixed;
  }

  function whole(value, what) {
    const read = number(value);
    if (Number.isInteger(read) && read >= 0) return read;
    throw new Error(what + " is " + JSON.stringify(value) + ", not a whole number from 0");
  }

  function compare(a, b) {
    if (missing(a) || missing(b)) return NaN;
    const [x, y] = [number(a), number(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    const [s, t] = [text(a), text(b)];
    return s < t ? -1 : s > t ? 1 : 0;
  }

  function equal(a, b) {
    return missing(a) || missing(b) ? missing(a) && missing(b) : compare(a, b) === 0;
  }

  condition("and", (...values) => values.every(truth));
  condition("or", (...values) => values.some(truth));
  condition("not", (value) => !truth(value));
  condition("eq", equal);
  condition("neq", (a, b) => !equal(a, b));
  condition("gt", (a, b) => compare(a, b) > 0);
  condition("gte", (a, b) => compare(a, b) >= 0);
  condition("lt", (a, b) => compare(a, b) < 0);
  condition("lte", (a, b) => compare(a, b) <= 0);

  const each = Handlebars.helpers.each;
  Handlebars.registerHelper("each", function (list, options) {
    const cut = Array.isArray(list) && state.eachLimit && list.length > state.eachLimit;
    return each.call(this, cut ? list.slice(0, state.eachLimit) : list, options);
  });

  words("abbreviate", (value, [size]) => {
    const length = whole(size, "the length");
    if (length < ABBREVIATION_MIN)
      throw new Error("the length is " + length + "; at least " + ABBREVIATION_MIN);
    return value.length <= length ? value : value.slice(0, length - 3) + "...";
  });
  words("capitalize", (value, _, options) =>
    (option(options, "fully", false) ? value.toLowerCase() : value).replace(
      /(^|\s)(\S)/gu,
      (_match, space, first) => space + first.toUpperCase(),
    ),
  );
  words("capitalizeFirst", (value) => value.replace(/^./u, (first) => first.toUpperCase()));
  words("lower", (value) => value.toLowerCase());
  words("upper", (value) => value.toUpperCase());
  words("cut", (value, [part]) => value.split(text(part) || " ").join(""));
  words("replace", (value, [part, other]) => value.split(text(part)).join(text(other)));
  words("substring", (value, [start, end]) => {
    const from = whole(start, "the start");
    return value.slice(from, end === undefined ? undefined : whole(end, "the end"));
  });
  words("slugify", (value) =>
    value.trim().toLowerCase().replace(/[^\p{L}\p{N}_\s]/gu, "").replace(/\s/gu, "-"),
  );
  words("stripTags", (value) => value.replace(/<[^>]*>/g, ""));

  function padding(options, size, length) {
    const width = whole(size === undefined ? option(options, "size") : size, "the size");
    if (width > PADDED_MAX) throw new Error("the size is above " + PADDED_MAX);
    return [Math.max(0, width - length), text(option(options, "pad", " ")) || " "];
  }
  words("ljust", (value, [size], options) => {
    const [room, pad] = padding(options, size, value.length);
    return value.padEnd(value.length + room, pad);
  });
  words("rjust", (value, [size], options) => {
    const [room, pad] = padding(options, size, value.length);
    return value.padStart(value.length + room, pad);
  });
  words("center", (value, [size], options) => {
    const [room, pad] = padding(options, size, value.length);
    const left = value.padStart(value.length + Math.floor(room / 2), pad);
    return left.padEnd(value.length + room, pad);
  });

  register("join", (values, options) => {
    const separator = text(values[values.length - 1]);
    const list = values.length === 2 ? [values[0]].flat() : values.slice(0, -1);
    if (missing(values[0])) return "";
    return text(option(options, "prefix", "")) + list.map(text).join(separator) +
      text(option(options, "suffix", ""));
  });
  words("inflect", (value, [singular, plural], options) => {
    const count = number(value);
    if (Number.isNaN(count)) throw new Error(JSON.stringify(value) + " is not a number");
    const word = text(count === 1 ? singular : plural);
    const counted = option(options, "includeCount", false);
    return counted === true || counted === "true" ? value + " " + word : word;
  });
  words("ordinalize", (value) => {
    const count = number(value);
    if (!Number.isInteger(count)) throw new Error(JSON.stringify(value) + " is not a whole number");
    const last = Math.abs(count) % 100;
    const teen = last >= 11 && last <= 13;
    return count + ((!teen && { 1: "st", 2: "nd", 3: "rd" }[last % 10]) || "th");
  });
  register("yesno", ([value], options) => {
    const word = { true: "yes", false: "no", "": "maybe" }[text(value).toLowerCase()];
    if (!word) throw new Error(JSON.stringify(value) + " is neither true nor false");
    return option(options, word, word);
  });

  function zone(options) {
    return text(option(options, "tz")) || "UTC";
  }
  words("dateFormat", (value, [style], options) => {
    const input = text(option(options, "inputFormat"));
    const output = text(option(options, "outputFormat", option(options, "format", style)));
    const instant = dates.parse(value.trim(), input, zone(options), state.now);
    return dates.format(instant, output || "medium", zone(options));
  });
  register("now", ([style], options) => {
    const output = text(option(options, "outputFormat", option(options, "format", style)));
    return dates.format(state.now, output || "medium", zone(options));
  });

  arithmetic("add", (a, b) => a + b);
  arithmetic("subtract", (a, b) => a - b);
  arithmetic("multiply", (a, b) => a * b);
  arithmetic("divide", (a, b) => a / b);
  arithmetic("modulo", (a, b) => a % b);
  arithmetic("round", Math.round);
  arithmetic("floor", Math.floor);
  arithmetic("ceiling", Math.ceil);

  words("md5", digests.md5);
  words("sha256", digests.sha256);
  words("sha512", digests.sha512);
  words("encode64", digests.encode64);
  words("decode64", digests.decode64);
  register("uuid", () => {
    const digits = digests.sha256(state.seed + " " + state.serial++).slice(0, 32).split("");
    digits[12] = "4";
    digits[16] = "89ab"[parseInt(digits[16], 16) & 3];
    return digits.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  });

  return { VALUES, state };
})();
