/* The usual lines of an archive become rows of CSV here; every other line goes back to the rule.

   quick.py and rule.py say what a call becomes; this is the same for calls as nearly all are, and
   decides nothing else. A line is decided when it is strict JSON in strict UTF-8 (RFC 8259, RFC
   3629) and what the mapping looks at is as usual; a function that is not sure answers NULL or
   UNSURE, and the line is handed back untouched. Nothing is read beyond a line's end, nothing is
   written before there is room for the whole of it, nothing calls itself, nothing is allocated.

   native.py has the same structures; SOURCE ties a library to the text it was made of. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef SOURCE
#define SOURCE ""
#endif

enum {
    DEPTH_MAX = 64,    /* brackets open at a time below a looked-at value: bits of a word */
    NUMBER_MAX = 64,   /* characters; Python refuses integers of more than 4,300 */
    KEYS_MAX = 8,      /* names of the item's fields, in a call and in an entry each */
    ENTRIES_MAX = 256, /* of a call's array */
    SECONDS_TEXT = 20, /* characters of any 64-bit number */
};

typedef const unsigned char *place; /* in a line; NULL: not sure */

struct text {
    place from;
    size_t length;
};

/* ---- what native.py gives and gets ---------------------------------------------------------- */

struct mapping {
    struct text user, time, array; /* names; an array of length 0 is none */
    struct text item[KEYS_MAX];    /* in properties, in order of precedence */
    struct text inner[KEYS_MAX];   /* in an entry of the array, likewise */
    size_t items, inners;
    const struct text *events; /* names as they are sent */
    const struct text *types;  /* and as they are written, quoted where CSV needs it */
    size_t event_count;
    size_t id_max;       /* bytes: so many are never more characters */
    int64_t seconds_max; /* a time is before it */
    double now;          /* epoch seconds */
};

enum verdict { EVENT_NOT_WANTED, NO_EVENT, NO_USER_ID, REASONS, ROWS, UNSURE };

struct handed {
    uint64_t from, to; /* of the line in the data, without its newline */
    uint64_t line;     /* number, from 0 */
    uint64_t written;  /* bytes of rows that come before it */
};

struct work {
    unsigned char *out; /* in: room for rows */
    size_t room;
    struct handed *handed; /* in: room for lines that go back */
    size_t handed_max;
    size_t show[REASONS]; /* in: so many lines of each reason go back, to be shown */
    size_t taken;         /* out: bytes of data that are dealt with */
    size_t lines, kept, rows, written, handed_count;
    size_t refused[REASONS];
    int64_t oldest, newest; /* of the rows, when there are any */
    size_t future;
};

/* ---- JSON: each function gives the place after what it read, or NULL ------------------------- */

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

static place after_digits(place at, place end)
{
    place from = at;

    while (at < end && *at >= '0' && *at <= '9') at++;
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

/* ---- members that are looked at --------------------------------------------------------------- */

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
        place name, from;
        size_t length;
        if ((name = after_space(at, end)) == end || *name++ != '"') return NULL;
        if ((at = after_plain(name, end)) == end || *at != '"') return NULL;
        length = (size_t)(at - name);
        if ((at = after_space(at + 1, end)) == end || *at != ':') return NULL;
        from = after_space(at + 1, end);
        if (!(at = after_value(from, end))) return NULL;
        for (size_t n = 0; n < count; n++) {
            struct member *member = &members[n];
            if (member->name.length != length || memcmp(member->name.from, name, length)) continue;
            if (member->from) return NULL;
            member->from = from;
            member->to = at;
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

/* ---- the rule --------------------------------------------------------------------------------- */

struct call {
    struct text user, type, items[ENTRIES_MAX];
    size_t count; /* of items */
    int64_t seconds;
};

/* An id that CSV needs no quotes for: a text, or a whole number from 0. */
static int is_id(const struct mapping *mapping, const struct member *member, struct text *id)
{
    if (!is_text(member, id)) {
        if (is_missing(member)) return 0;
        id->from = member->from;
        id->length = (size_t)(member->to - member->from);
        for (size_t n = 0; n < id->length; n++)
            if (id->from[n] < '0' || id->from[n] > '9') return 0;
    }
    return id->length && id->length <= mapping->id_max && !memchr(id->from, ',', id->length);
}

/* The item by the first of the members that is there; one before it must be missing or empty. */
static int is_item(const struct mapping *mapping, const struct member *members, size_t count,
                   struct text *item)
{
    for (size_t n = 0; n < count; n++) {
        if (is_id(mapping, &members[n], item)) return 1;
        if (!is_missing(&members[n]) && !(is_text(&members[n], item) && !item->length)) return 0;
    }
    return 0;
}

static void set_names(struct member *members, const struct text *names, size_t count)
{
    for (size_t n = 0; n < count; n++) members[n] = (struct member){names[n], NULL, NULL};
}

/* The items of an array: every entry must have one. */
static int are_items(const struct mapping *mapping, const struct member *array, struct call *call)
{
    place at = array->from, end = array->to;

    if (*at != '[') return 0;
    if (*(at = after_space(at + 1, end)) == ']') return 1;
    for (;;) {
        struct member members[KEYS_MAX];
        set_names(members, mapping->inner, mapping->inners);
        if (call->count == ENTRIES_MAX) return 0;
        at = after_members(after_space(at, end), end, members, mapping->inners);
        if (!at || !is_item(mapping, members, mapping->inners, &call->items[call->count++])) return 0;
        if (*(at = after_space(at, end)) == ']') return 1;
        at++; /* the comma: the array has been read before */
    }
}

/* A call's items: those of its array, or the one of its properties. */
static int has_items(const struct mapping *mapping, const struct member *properties,
                     struct call *call)
{
    struct member members[KEYS_MAX + 1], *array = &members[mapping->items];

    set_names(members, mapping->item, mapping->items);
    *array = (struct member){mapping->array, NULL, NULL};
    if (!properties->from) return 0;
    if (!after_members(properties->from, properties->to, members,
                       mapping->items + (mapping->array.length > 0)))
        return 0;
    if (!is_missing(array) && !are_items(mapping, array, call)) return 0;
    if (call->count) return 1;
    return is_item(mapping, members, mapping->items, &call->items[call->count++]);
}

static int number(place from, size_t digits)
{
    int value = 0;

    while (digits--) {
        if (*from < '0' || *from > '9') return -1;
        value = value * 10 + *from++ - '0';
    }
    return value;
}

/* Epoch seconds of 2026-11-21T18:02:51Z, with any fraction of a second; -1: not sure. */
static int64_t seconds_of(struct text text)
{
    static const char days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const char form[] = "....-..-..T..:..:..";
    place at = text.from;
    size_t length = text.length, shape = sizeof form - 1;
    int year, month, day, hour, minute, second, is_leap;
    int64_t days;

    if (length <= shape || length > NUMBER_MAX || at[length - 1] != 'Z') return -1;
    for (size_t n = 0; n < shape; n++)
        if (form[n] != '.' && at[n] != form[n]) return -1;
    if (length > shape + 1) {
        if (at[shape] != '.' || length == shape + 2) return -1;
        for (size_t n = shape + 1; n < length - 1; n++)
            if (at[n] < '0' || at[n] > '9') return -1;
    }
    year = number(at, 4);
    month = number(at + 5, 2);
    day = number(at + 8, 2);
    hour = number(at + 11, 2);
    minute = number(at + 14, 2);
    second = number(at + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1) return -1;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return -1;
    is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > days_of[month - 1] + (month == 2 && is_leap)) return -1;
    year--; /* leap days of the years before */
    days = (year - 1969) * 365 + (year / 4 - year / 100 + year / 400) - 477 + day - 1;
    for (int n = 0; n < month - 1; n++) days += days_of[n];
    days += month > 2 && is_leap;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

/* What becomes of a line, in the order in which the rule looks for reasons. */
static enum verdict decide(const struct mapping *mapping, place at, place end, struct call *call)
{
    struct member members[] = {
        {{(place) "event", 5}, NULL, NULL},
        {mapping->user, NULL, NULL},
        {mapping->time, NULL, NULL},
        {{(place) "properties", 10}, NULL, NULL},
    };
    struct member *event = members, *user = members + 1, *time = members + 2, *properties = members + 3;
    struct text name, moment;
    size_t n;

    at = after_members(after_space(at, end), end, members, 4);
    if (!at || after_space(at, end) != end) return UNSURE;
    if (is_missing(event) || *event->from != '"') {
        if (is_missing(user) && is_missing(time) && is_missing(properties)) return UNSURE;
        return NO_EVENT;
    }
    if (!is_text(event, &name)) return UNSURE;
    for (n = 0; n < mapping->event_count; n++)
        if (mapping->events[n].length == name.length &&
            !memcmp(mapping->events[n].from, name.from, name.length))
            break;
    if (n == mapping->event_count) return EVENT_NOT_WANTED;
    call->type = mapping->types[n];
    if (is_missing(user)) return NO_USER_ID;
    if (!is_id(mapping, user, &call->user) || !is_text(time, &moment)) return UNSURE;
    call->seconds = seconds_of(moment);
    if (call->seconds < 0 || call->seconds >= mapping->seconds_max) return UNSURE;
    call->count = 0;
    return has_items(mapping, properties, call) ? ROWS : UNSURE;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static unsigned char *put(unsigned char *out, const void *from, size_t length)
{
    memcpy(out, from, length);
    return out + length;
}

/* Bytes that a call's rows take, at most. */
static size_t bytes_of(const struct call *call)
{
    size_t bytes = 0, more = call->user.length + call->type.length + SECONDS_TEXT + sizeof ",,,\n";

    for (size_t n = 0; n < call->count; n++) bytes += call->items[n].length + more;
    return bytes;
}

static unsigned char *put_rows(unsigned char *out, const struct call *call)
{
    char seconds[SECONDS_TEXT], *first = seconds + sizeof seconds;
    int64_t rest = call->seconds;

    do *--first = (char)('0' + rest % 10);
    while (rest /= 10);
    for (size_t n = 0; n < call->count; n++) {
        out = put(out, call->user.from, call->user.length);
        *out++ = ',';
        out = put(out, call->items[n].from, call->items[n].length);
        *out++ = ',';
        out = put(out, call->type.from, call->type.length);
        *out++ = ',';
        out = put(out, first, (size_t)(seconds + sizeof seconds - first));
        *out++ = '\n';
    }
    return out;
}

static void count_rows(struct work *work, const struct call *call, double now)
{
    if (!work->rows || call->seconds < work->oldest) work->oldest = call->seconds;
    if (!work->rows || call->seconds > work->newest) work->newest = call->seconds;
    if ((double)call->seconds > now) work->future += call->count;
    work->rows += call->count;
    work->kept++;
}

/* ---- what native.py calls --------------------------------------------------------------------- */

const char *tailorbird_scan_source(void)
{
    return SOURCE;
}

/* Whole lines of `data`, until they or the room for rows or for handed lines are used up. */
void tailorbird_scan(const struct mapping *mapping, const unsigned char *data, size_t from,
                     size_t to, struct work *work)
{
    place at = data + from, end = data + to;

    while (at < end && work->handed_count < work->handed_max) {
        place line_end = memchr(at, '\n', (size_t)(end - at)), next;
        struct call call;
        enum verdict verdict;

        next = line_end ? line_end + 1 : end;
        if (!line_end) line_end = end;
        verdict = at == line_end ? REASONS : decide(mapping, at, line_end, &call);
        if (verdict == ROWS && bytes_of(&call) > work->room) verdict = UNSURE;
        if (verdict == ROWS) {
            if (bytes_of(&call) > work->room - work->written) break;
            work->written = (size_t)(put_rows(work->out + work->written, &call) - work->out);
            count_rows(work, &call, mapping->now);
        } else if (verdict < REASONS && !work->show[verdict]) {
            work->refused[verdict]++;
        } else if (verdict != REASONS) {
            if (verdict < REASONS) work->show[verdict]--;
            work->handed[work->handed_count++] = (struct handed){
                (size_t)(at - data), (size_t)(line_end - data), work->lines, work->written};
        }
        work->lines++;
        at = next;
    }
    work->taken = (size_t)(at - data) - from;
}
