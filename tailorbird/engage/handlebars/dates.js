// Dates with the patterns of Java's SimpleDateFormat (en_US), as the dateFormat and now helpers
// take them. Time zones come from outside as {at, offset, name}, one entry for each change, or as
// null when there is no such zone.
"use strict";

var dates = (function () {
  const STYLES = {
    full: "EEEE, MMMM d, yyyy",
    long: "MMMM d, yyyy",
    medium: "MMM d, yyyy",
    short: "M/d/yy",
  };
  const MONTHS =
    "January February March April May June July August September October November December".split(" ");
  const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
  const ISO =
    /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?$/;
  const DAY_MS = 86400000;
  const NUMBERS = "yYMLdDHkKhmsSuw"; // letters whose value is a number (M and L when short)
  const zones = new Map([["UTC", { at: [], offset: [0], name: ["UTC"] }]]);

  class ZoneNeeded extends Error {
    constructor(zone) {
      super("time zone " + zone);
      this.zone = zone;
    }
  }

  function addZone(name, data) {
    zones.set(name, data);
  }

  function place(instant, zoneName) {
    if (!zones.has(zoneName)) throw new ZoneNeeded(zoneName);
    const zone = zones.get(zoneName);
    if (zone === null) throw new Error(JSON.stringify(zoneName) + " is not a time zone");
    let low = 0;
    let high = zone.at.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (zone.at[middle] * 1000 <= instant) low = middle + 1;
      else high = middle;
    }
    return { offset: zone.offset[low], name: zone.name[low] };
  }

  // "yyyy-MM'T'" -> [{letter: "y", size: 4}, {text: "-"}, {letter: "M", size: 2}, {text: "T"}]
  function tokens(pattern) {
    const found = [];
    for (let i = 0; i < pattern.length; ) {
      const character = pattern[i];
      if (character === "'") {
        let text = "";
        if (pattern[i + 1] === "'") [text, i] = ["'", i + 2];
        else {
          for (i++; i < pattern.length && (pattern[i] !== "'" || pattern[i + 1] === "'"); i++) {
            text += pattern[i];
            if (pattern[i] === "'") i++;
          }
          if (i >= pattern.length) throw new Error("the date pattern has an open quote: " + pattern);
          i++;
        }
        found.push({ text });
      } else if (/[A-Za-z]/.test(character)) {
        let size = 1;
        while (pattern[i + size] === character) size++;
        found.push({ letter: character, size });
        i += size;
      } else {
        found.push({ text: character });
        i++;
      }
    }
    return found;
  }

  function isNumber(token) {
    if (!token || !token.letter || !NUMBERS.includes(token.letter)) return false;
    return !("ML".includes(token.letter) && token.size > 2);
  }

  function offsetText(seconds, style) {
    const minutes = Math.abs(Math.trunc(seconds / 60));
    const [hour, minute] = [Math.floor(minutes / 60), minutes % 60].map((n) =>
      String(n).padStart(2, "0"),
    );
    const sign = seconds < 0 ? "-" : "+";
    if (style === "XXX") return sign + hour + ":" + minute;
    return style === "X" ? sign + hour : sign + hour + minute;
  }

  // Weeks as Java counts them for the United States: from Sunday, the first holds 1 January.
  function week(local) {
    const start = (year) => {
      const first = Date.UTC(year, 0, 1);
      return first - new Date(first).getUTCDay() * DAY_MS;
    };
    let year = local.getUTCFullYear();
    if (local.getTime() >= start(year + 1)) year++;
    return { year, number: Math.floor((local.getTime() - start(year)) / (7 * DAY_MS)) + 1 };
  }

  function field(token, local, where) {
    const { letter, size } = token;
    const pad = (number) => String(number).padStart(size, "0");
    const year = (number) => (size === 2 ? String(number % 100).padStart(2, "0") : pad(number));
    const hour = local.getUTCHours();
    switch (letter) {
      case "G": return "AD";
      case "y": return year(local.getUTCFullYear());
      case "Y": return year(week(local).year);
      case "M":
      case "L": {
        const month = local.getUTCMonth();
        if (size <= 2) return pad(month + 1);
        return size === 3 ? MONTHS[month].slice(0, 3) : MONTHS[month];
      }
      case "d": return pad(local.getUTCDate());
      case "D": return pad((Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()) -
          Date.UTC(local.getUTCFullYear(), 0, 1)) / DAY_MS + 1);
      case "w": return pad(week(local).number);
      case "E": return size <= 3 ? DAYS[local.getUTCDay()].slice(0, 3) : DAYS[local.getUTCDay()];
      case "u": return pad(local.getUTCDay() || 7);
      case "a": return hour < 12 ? "AM" : "PM";
      case "H": return pad(hour);
      case "k": return pad(hour || 24);
      case "K": return pad(hour % 12);
      case "h": return pad(hour % 12 || 12);
      case "m": return pad(local.getUTCMinutes());
      case "s": return pad(local.getUTCSeconds());
      case "S": return pad(local.getUTCMilliseconds());
      case "z": return where.name;
      case "Z": return offsetText(where.offset, "Z");
      case "X":
        if (where.offset === 0) return "Z";
        return offsetText(where.offset, "X".repeat(Math.min(size, 3)));
      default:
        throw new Error("the date pattern letter " + letter + " is not supported");
    }
  }

  function format(instant, pattern, zone) {
    const where = place(instant, zone);
    const local = new Date(instant + where.offset * 1000);
    return tokens(Object.hasOwn(STYLES, pattern) ? STYLES[pattern] : pattern)
      .map((token) => (token.letter ? field(token, local, where) : token.text))
      .join("");
  }

  // The instant at which clocks in `zone` show these UTC fields.
  function instantOf(local, zone) {
    const guess = local - place(local, zone).offset * 1000;
    return local - place(guess, zone).offset * 1000;
  }

  function fromFields(fields, zone, now) {
    let { y, M = 1, d = 1, H, h, a, m = 0, s = 0, S = 0, offset } = fields;
    if (y === undefined) y = new Date(now).getUTCFullYear();
    const hour = H !== undefined ? H : h === undefined ? 0 : (h % 12) + (a === "PM" ? 12 : 0);
    const local = Date.UTC(y, M - 1, d, hour, m, s, S);
    const read = new Date(local);
    const same =
      read.getUTCMonth() === M - 1 && read.getUTCDate() === d && hour < 24 && m < 60 && s < 61;
    if (!same) return undefined;
    return offset === undefined ? instantOf(local, zone) : local - offset * 1000;
  }

  function offsetSeconds(text) {
    if (text === "Z" || text === "UTC" || text === "GMT") return 0;
    const match = /^([+-])(\d\d):?(\d\d)?$/.exec(text);
    const seconds = Number(match[2]) * 3600 + Number(match[3] || 0) * 60;
    return match[1] === "-" ? -seconds : seconds;
  }

  function readIso(text, zone, now) {
    if (/^\d{13}$/.test(text)) return Number(text);
    if (/^\d{9,10}$/.test(text)) return Number(text) * 1000;
    const match = ISO.exec(text);
    if (!match) return undefined;
    const [y, M, d, H, m, s] = match.slice(1, 7).map((part) => Number(part || 0));
    const S = Number((match[7] || "0").padEnd(3, "0").slice(0, 3));
    const offset = match[8] === undefined ? undefined : offsetSeconds(match[8]);
    return fromFields({ y, M, d, H, m, s, S, offset }, zone, now);
  }

  // A two-digit year lies at most 80 years back and 20 ahead (SimpleDateFormat).
  function century(year, now) {
    const latest = new Date(now).getUTCFullYear() + 20;
    return latest - ((((latest - year) % 100) + 100) % 100);
  }

  function nameIndex(names, rest) {
    const lower = rest.toLowerCase();
    for (const size of [Infinity, 3]) {
      const index = names.findIndex((name) => lower.startsWith(name.slice(0, size).toLowerCase()));
      if (index >= 0) return [index, Math.min(size, names[index].length)];
    }
    return [-1, 0];
  }

  function readField(token, next, rest, fields, now) {
    const letter = token.letter;
    if (isNumber(token)) {
      const digits = isNumber(next) ? new RegExp("^\\d{" + token.size + "}") : /^\d+/;
      const match = digits.exec(rest);
      if (!match) return 0;
      let value = Number(match[0]);
      if (letter === "y" && token.size <= 2 && match[0].length === 2) value = century(value, now);
      if (letter === "k") value %= 24;
      const slot = { L: "M", k: "H", K: "h" }[letter] || letter;
      if (!"yMdHhmsS".includes(slot)) throw new Error("dates cannot be read with the letter " + letter);
      fields[slot] = value;
      return match[0].length;
    }
    if (letter === "M" || letter === "L") {
      const [month, size] = nameIndex(MONTHS, rest);
      fields.M = month + 1;
      return size;
    }
    if (letter === "E") return nameIndex(DAYS, rest)[1];
    const forms = { a: /^[AP]M/i, X: /^(Z|[+-]\d\d(:?\d\d)?)/, Z: /^[+-]\d{4}/, z: /^(UTC|GMT|Z)/ };
    if (!forms[letter]) throw new Error("dates cannot be read with the letter " + letter);
    const match = forms[letter].exec(rest);
    if (!match) return 0;
    if (letter === "a") fields.a = match[0].toUpperCase();
    else fields.offset = offsetSeconds(match[0]);
    return match[0].length;
  }

  function readPattern(text, pattern, zone, now) {
    const fields = {};
    const list = tokens(Object.hasOwn(STYLES, pattern) ? STYLES[pattern] : pattern);
    let at = 0;
    for (let i = 0; i < list.length; i++) {
      if (list[i].letter) {
        const size = readField(list[i], list[i + 1], text.slice(at), fields, now);
        if (!size) return undefined;
        at += size;
      } else if (text.startsWith(list[i].text, at)) at += list[i].text.length;
      else return undefined;
    }
    return fromFields(fields, zone, now);
  }

  // Milliseconds since 1970 of a date in words; without a pattern it is ISO 8601 or a timestamp.
  function parse(text, pattern, zone, now) {
    const instant = pattern
      ? readPattern(text, pattern, zone, now)
      : readIso(text, zone, now);
    if (instant !== undefined) return instant;
    const form = pattern ? "of the form " + pattern : "in ISO 8601; say its inputFormat";
    throw new Error(JSON.stringify(text) + " is not a date " + form);
  }

  return { format, parse, addZone, ZoneNeeded };
})();
