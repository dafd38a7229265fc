// MD5 (RFC 1321), SHA-256 and SHA-512 (FIPS 180-4) and Base64 of UTF-8 text, for the helpers.
// The constants are computed from their definitions: the first bits of roots of primes.
"use strict";

var digests = (function () {
  const MASK64 = (1n << 64n) - 1n;
  const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  let constants = null;

  function utf8(text) {
    const bytes = [];
    for (const character of String(text)) {
      let code = character.codePointAt(0);
      if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
      if (code < 0x80) bytes.push(code);
      else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
      else if (code < 0x10000)
        bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
      else
        bytes.push(
          0xf0 | (code >> 18),
          0x80 | ((code >> 12) & 63),
          0x80 | ((code >> 6) & 63),
          0x80 | (code & 63),
        );
    }
    return bytes;
  }

  function hex(bytes) {
    return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // The largest whole number whose power is at most `value` (Newton's method from above).
  function root(value, power) {
    let guess = 1n << (BigInt(value.toString(2).length) / power + 1n);
    for (;;) {
      const next = ((power - 1n) * guess + value / guess ** (power - 1n)) / power;
      if (next >= guess) return guess;
      guess = next;
    }
  }

  function firstBitsOfRoots() {
    const primes = [];
    for (let n = 2; primes.length < 80; n++) if (primes.every((p) => n % p)) primes.push(n);
    const cubes = primes.map((p) => root(BigInt(p) << 192n, 3n) & MASK64);
    const squares = primes.slice(0, 8).map((p) => root(BigInt(p) << 128n, 2n) & MASK64);
    const high = (word) => Number(word >> 32n) | 0;
    return {
      k512: cubes,
      h512: squares,
      k256: cubes.slice(0, 64).map(high),
      h256: squares.map(high),
    };
  }

  function padded(bytes, block, lengthBytes, littleEndian) {
    const message = bytes.concat([0x80]);
    while (message.length % block !== block - lengthBytes) message.push(0);
    let bits = BigInt(bytes.length) * 8n;
    const length = [];
    for (let i = 0; i < lengthBytes; i++, bits >>= 8n) length.push(Number(bits & 255n));
    return message.concat(littleEndian ? length : length.reverse());
  }

  function md5(text) {
    const message = padded(utf8(text), 64, 8, true);
    const shifts = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
    let [a0, b0, c0, d0] = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476];
    for (let start = 0; start < message.length; start += 64) {
      let [a, b, c, d] = [a0, b0, c0, d0];
      for (let i = 0; i < 64; i++) {
        const round = i >> 4;
        let f, g;
        if (round === 0) [f, g] = [(b & c) | (~b & d), i];
        else if (round === 1) [f, g] = [(d & b) | (~d & c), (5 * i + 1) % 16];
        else if (round === 2) [f, g] = [b ^ c ^ d, (3 * i + 5) % 16];
        else [f, g] = [c ^ (b | ~d), (7 * i) % 16];
        const at = start + 4 * g;
        const word =
          message[at] | (message[at + 1] << 8) | (message[at + 2] << 16) | (message[at + 3] << 24);
        const sine = Math.floor(Math.abs(Math.sin(i + 1)) * 4294967296) | 0;
        const sum = (((a + f) | 0) + ((word + sine) | 0)) | 0;
        const shift = shifts[4 * round + (i % 4)];
        [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
      }
      [a0, b0, c0, d0] = [(a0 + a) | 0, (b0 + b) | 0, (c0 + c) | 0, (d0 + d) | 0];
    }
    return hex([a0, b0, c0, d0].flatMap((w) => [w, w >> 8, w >> 16, w >> 24].map((x) => x & 255)));
  }

  function sha256(text) {
    constants = constants || firstBitsOfRoots();
    const message = padded(utf8(text), 64, 8, false);
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    let hash = constants.h256;
    for (let start = 0; start < message.length; start += 64) {
      const w = [];
      for (let i = 0; i < 64; i++) {
        if (i < 16) {
          const at = start + 4 * i;
          w.push(
            (message[at] << 24) | (message[at + 1] << 16) | (message[at + 2] << 8) | message[at + 3],
          );
          continue;
        }
        const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
        const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
        w.push((w[i - 16] + s0 + w[i - 7] + s1) | 0);
      }
      let [a, b, c, d, e, f, g, h] = hash;
      for (let i = 0; i < 64; i++) {
        const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
        const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants.k256[i] + w[i]) | 0;
        const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
      }
      hash = [a, b, c, d, e, f, g, h].map((word, i) => (word + hash[i]) | 0);
    }
    return hex(hash.flatMap((word) => [24, 16, 8, 0].map((n) => (word >>> n) & 255)));
  }

  function sha512(text) {
    constants = constants || firstBitsOfRoots();
    const message = padded(utf8(text), 128, 16, false);
    const turn = (x, n) => ((x >> n) | (x << (64n - n))) & MASK64;
    let hash = constants.h512;
    for (let start = 0; start < message.length; start += 128) {
      const w = [];
      for (let i = 0; i < 80; i++) {
        if (i < 16) {
          w.push(BigInt("0x" + hex(message.slice(start + 8 * i, start + 8 * i + 8))));
          continue;
        }
        const s0 = turn(w[i - 15], 1n) ^ turn(w[i - 15], 8n) ^ (w[i - 15] >> 7n);
        const s1 = turn(w[i - 2], 19n) ^ turn(w[i - 2], 61n) ^ (w[i - 2] >> 6n);
        w.push((w[i - 16] + s0 + w[i - 7] + s1) & MASK64);
      }
      let [a, b, c, d, e, f, g, h] = hash;
      for (let i = 0; i < 80; i++) {
        const s1 = turn(e, 14n) ^ turn(e, 18n) ^ turn(e, 41n);
        const t1 = h + s1 + ((e & f) ^ (~e & MASK64 & g)) + constants.k512[i] + w[i];
        const s0 = turn(a, 28n) ^ turn(a, 34n) ^ turn(a, 39n);
        const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & MASK64, c, b, a, (t1 + t2) & MASK64];
      }
      hash = [a, b, c, d, e, f, g, h].map((word, i) => (word + hash[i]) & MASK64);
    }
    return hash.map((word) => word.toString(16).padStart(16, "0")).join("");
  }

  function encode64(text) {
    const bytes = utf8(text);
    let coded = "";
    for (let i = 0; i < bytes.length; i += 3) {
      const word = (bytes[i] << 16) | ((bytes[i + 1] || 0) << 8) | (bytes[i + 2] || 0);
      for (let n = 0; n < 4; n++)
        coded += i + n > bytes.length ? "=" : BASE64[(word >> (18 - 6 * n)) & 63];
    }
    return coded;
  }

  function decode64(coded) {
    const digits = coded.replace(/\s+/g, "").replace(/=+$/, "").replace(/-/g, "+").replace(/_/g, "/");
    let escaped = "";
    for (let i = 0, word = 0, bits = 0; i < digits.length; i++) {
      const digit = BASE64.indexOf(digits[i]);
      if (digit < 0) throw new Error("decode64: " + JSON.stringify(coded) + " is not Base64");
      word = ((word << 6) | digit) & 0xffff;
      bits += 6;
      if (bits >= 8) {
        bits -= 8;
        escaped += "%" + ((word >> bits) & 255).toString(16).padStart(2, "0");
      }
    }
    try {
      return decodeURIComponent(escaped);
    } catch (error) {
      throw new Error("decode64: " + JSON.stringify(coded) + " is not Base64 of UTF-8 text");
    }
  }

  return { md5, sha256, sha512, encode64, decode64 };
})();
