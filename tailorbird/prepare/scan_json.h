/* JSON, strictly: RFC 8259 in the UTF-8 of RFC 3629.

   Every function is given a place in a line and the line's end, reads nothing beyond it, and gives
   the place after what it read: NULL when that is not JSON, or when Python might see it otherwise.
   Nothing calls itself and nothing is allocated. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    DEPTH_MAX = 64,  /* brackets open at a time below a looked-at value: bits of a word */
    NUMBER_MAX = 64, /* characters; Python refuses integers of more than 4,300 */
};

typedef const unsigned char *place;

struct text {
    place from;
    size_t length;
};

static place after_space(place at, place end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) at++;
    return at;
}

/* One character of two to four bytes: no surrogate, none written longer than it must be. */
static place after_character(place at, place end)
{
    unsigned first = *at, low = 0x80, high = 0xBF, more;

    if (first >= 0xC2 && first <= 0xDF) more = 1;
    else if (first >= 0xE0 && first <= 0xEF) more = 2;
    else if (first >= 0xF0 && first <= 0xF4) more = 3;
    else return NULL;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
    if ((size_t)(end - at) <= more || at[1] < low || at[1] > high) return NULL;
    for (unsigned n = 2; n <= more; n++)
        if (at[n] < 0x80 || at[n] > 0xBF) return NULL;
    return at + more + 1;
}

/* A backslash and what follows; half a surrogate pair is nothing to be sure of, nor is a whole. */
static place after_escape(place at, place end)
{
    unsigned code = 0;

    if (end - at < 2) return NULL;
    if (at[1] != 'u') return memchr("\"\\/bfnrt", at[1], 8) ? at + 2 : NULL;
    if (end - at < 6) return NULL;
    for (int n = 2; n < 6; n++) {
        unsigned digit = at[n];
        if (digit >= '0' && digit <= '9') digit -= '0';
        else if (digit >= 'a' && digit <= 'f') digit -= 'a' - 10;
        else if (digit >= 'A' && digit <= 'F') digit -= 'A' - 10;
        else return NULL;
        code = code << 4 | digit;
    }
    return code >= 0xD800 && code <= 0xDFFF ? NULL : at + 6;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* How many of the next eight bytes are ASCII without quotes, backslashes and controls. */
static unsigned usual_bytes(place at)
{
    uint64_t bytes, quotes, slashes, odd;

    memcpy(&bytes, at, sizeof bytes);
    quotes = bytes ^ EACH('"');
    slashes = bytes ^ EACH('\\');
    odd = (bytes | (bytes - EACH(0x20)) | (quotes - EACH(1)) | (slashes - EACH(1))) & EACH(0x80);
    return odd ? (unsigned)__builtin_ctzll(odd) / 8 : 8;
}

/* Characters of a text up to its quote, or to a backslash, or to what no text may hold. */
static place after_plain(place at, place end)
{
    for (;;) {
        if (end - at >= 8) {
            unsigned usual = usual_bytes(at);
            at += usual;
            if (usual == 8) continue;
        } else if (at == end) return at;
        if (*at == '"' || *at == '\\' || *at < 0x20) return at;
        if (*at < 0x80) at++;
        else {
            place next = after_character(at, end);
            if (!next) return at;
            at = next;
        }
    }
}

static place after_string(place at, place end)
{
    if (at == end || *at++ != '"') return NULL;
    for (;;) {
        if ((at = after_plain(at, end)) == end) return NULL;
        if (*at == '"') return at + 1;
        if (*at != '\\' || !(at = after_escape(at, end))) return NULL;
    }
}

static int is_digit(unsigned char character)
{
    return character >= '0' && character <= '9';
}

static place after_digits(place at, place end)
{
    place from = at;

    while (at < end && is_digit(*at)) at++;
    return at == from ? NULL : at;
}

static place after_number(place at, place end)
{
    place from = at;

    if (*at == '-') at++;
    if (at < end && *at == '0') at++;
    else if (!(at = after_digits(at, end))) return NULL;
    if (at < end && *at == '.' && !(at = after_digits(at + 1, end))) return NULL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        if (!(at = after_digits(at, end))) return NULL;
    }
    return at - from > NUMBER_MAX ? NULL : at;
}

static place after_word(place at, place end, const char *word)
{
    size_t length = strlen(word);

    return (size_t)(end - at) >= length && !memcmp(at, word, length) ? at + length : NULL;
}

static place after_scalar(place at, place end)
{
    switch (*at) {
    case '"': return after_string(at, end);
    case 't': return after_word(at, end, "true");
    case 'f': return after_word(at, end, "false");
    case 'n': return after_word(at, end, "null");
    default: return after_number(at, end);
    }
}

static place after_key(place at, place end)
{
    at = after_string(after_space(at, end), end);
    if (!at) return NULL;
    at = after_space(at, end);
    return at < end && *at == ':' ? at + 1 : NULL;
}

/* Any value, with all that is in it. */
static place after_value(place at, place end)
{
    uint64_t objects = 0; /* a bit for each open bracket, the innermost last: whether it is a { */
    unsigned depth = 0;

    for (;;) {
        if ((at = after_space(at, end)) == end) return NULL;
        if (*at == '{' || *at == '[') {
            unsigned is_object = *at == '{';
            if (depth++ == DEPTH_MAX) return NULL;
            objects = objects << 1 | is_object;
            if ((at = after_space(at + 1, end)) == end) return NULL;
            if (*at != (is_object ? '}' : ']')) {
                if (is_object && !(at = after_key(at, end))) return NULL;
                continue;
            }
        } else if (!(at = after_scalar(at, end))) {
            return NULL;
        }
        for (;; at++, depth--, objects >>= 1) { /* a value is over: brackets that close now */
            if (!depth) return at;
            if ((at = after_space(at, end)) == end) return NULL;
            if (*at == ',') break;
            if (*at != (objects & 1 ? '}' : ']')) return NULL;
        }
        at++;
        if (objects & 1 && !(at = after_key(at, end))) return NULL;
    }
}

static int is_same(struct text one, struct text other)
{
    return one.length == other.length && !memcmp(one.from, other.from, one.length);
}

/* ---- members that are looked at -------------------------------------------------------------- */

struct member {
    struct text name;
    place from, to; /* its value; NULL: there is none */
};

/* An object; values of the members are noted. A name that is written with escapes or comes twice
   is nothing to be sure of. */
static place after_members(place at, place end, struct member *members, size_t count)
{
    if (at == end || *at != '{') return NULL;
    if ((at = after_space(at + 1, end)) < end && *at == '}') return at + 1;
    for (;;) {
        struct text name;
        place from;
        if ((at = after_space(at, end)) == end || *at++ != '"') return NULL;
        name.from = at;
        if ((at = after_plain(at, end)) == end || *at != '"') return NULL;
        name.length = (size_t)(at - name.from);
        if ((at = after_space(at + 1, end)) == end || *at != ':') return NULL;
        from = after_space(at + 1, end);
        if (!(at = after_value(from, end))) return NULL;
        for (size_t n = 0; n < count; n++) {
            if (!is_same(members[n].name, name)) continue;
            if (members[n].from) return NULL;
            members[n].from = from;
            members[n].to = at;
        }
        if ((at = after_space(at, end)) == end) return NULL;
        if (*at == '}') return at + 1;
        if (*at++ != ',') return NULL;
    }
}

static int is_missing(const struct member *member)
{
    return !member->from || *member->from == 'n';
}

/* A text without escapes. */
static int is_text(const struct member *member, struct text *text)
{
    if (!member->from || *member->from != '"') return 0;
    text->from = member->from + 1;
    text->length = (size_t)(member->to - text->from) - 1;
    return !memchr(text->from, '\\', text->length);
}
