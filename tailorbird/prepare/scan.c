/* The usual lines of an archive become rows of CSV here; every other line goes back to the rule.

   quick.py and rule.py say what a call becomes; this is the same for calls as nearly all are, and
   decides nothing else. A line is decided when it is strict JSON (scan_json.h) and what the mapping
   looks at is as usual; what is not sure is UNSURE, and the line is handed back untouched. No cell
   is written before there is room for it.

   native.py has the same structures; SOURCE ties a library to the text it was made of. */

#include "scan_values.h"

#ifndef SOURCE
#define SOURCE ""
#endif

enum {
    USERS_MAX = 4,     /* names of the user's fields */
    KEYS_MAX = 8,      /* names of the item's fields, in a call and in an entry each */
    COLUMNS_MAX = 16,
    ENTRIES_MAX = 256, /* of a call's array */
    SECONDS_TEXT = 20, /* characters of any 64-bit number */
    LEAP_DAYS_TO_1969 = 1969 / 4 - 1969 / 100 + 1969 / 400,
};

/* ---- what native.py gives and gets ---------------------------------------------------------- */

enum column { USER, ITEM, EVENT, SECONDS, MOMENT, ANONYMOUS, MILLISECONDS, COLUMN_KINDS };

struct mapping {
    struct text anonymous, time, array; /* names; of length 0: there is none */
    struct text user[USERS_MAX];        /* in order of precedence */
    struct text item[KEYS_MAX];         /* in properties, likewise */
    struct text inner[KEYS_MAX];        /* in an entry of the array, likewise */
    size_t users, items, inners;
    size_t columns[COLUMNS_MAX], column_count; /* from COLUMN_KINDS on: of the values */
    struct value values[COLUMNS_MAX];
    size_t needs_anonymous; /* or no row */
    size_t literal;         /* an empty text is an id, and times have milliseconds */
    const struct text *calls; /* types of calls that count; none: all */
    size_t call_count;
    const struct text *events; /* names as they are sent; none: calls need no event */
    const struct text *types;  /* and as they are written, quoted where CSV needs it */
    size_t event_count;
    size_t id_max, text_max; /* bytes: so many are never more characters */
    int64_t seconds_max; /* a time is before it */
    double now;          /* epoch seconds */
};

enum verdict {
    TYPE_NOT_WANTED,
    NO_EVENT,
    EVENT_NOT_WANTED,
    NO_USER_ID,
    NO_ITEM_ID,
    REASONS,
    NOTHING,
    ROWS,
    UNSURE,
    FULL,
};

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

/* ---- the rule -------------------------------------------------------------------------------- */

struct call {
    struct member whole;
    struct text cells[COLUMN_KINDS]; /* of its rows; their item's is one of the items */
    struct text items[ENTRIES_MAX];
    struct member entries[ENTRIES_MAX]; /* that they are of, when they are of the array */
    size_t count; /* of items */
    int64_t seconds, milliseconds;
    unsigned char digits[2][SECONDS_TEXT]; /* of both */
};

/* An id: a text, or a whole number from 0. */
static int is_id(const struct mapping *mapping, const struct member *member, struct text *id)
{
    if (is_text(member, id)) return id->length && text_cell(member, mapping->id_max, id) == ONE;
    if (is_missing(member)) return 0;
    *id = token_of(member);
    for (size_t n = 0; n < id->length; n++)
        if (!is_digit(id->from[n])) return 0;
    return 1;
}

/* The first of the members that holds an id; those before it must be missing or empty. */
static enum found first_id(const struct mapping *mapping, const struct member *members,
                           size_t count, struct text *id)
{
    for (size_t n = 0; n < count; n++) {
        if (is_missing(&members[n])) continue;
        if (is_id(mapping, &members[n], id)) return ONE;
        if (mapping->literal || !is_text(&members[n], id) || id->length) return ODD;
    }
    return NONE;
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
        place from = after_space(at, end);
        set_names(members, mapping->inner, mapping->inners);
        if (call->count == ENTRIES_MAX) return 0;
        at = after_members(from, end, members, mapping->inners);
        if (!at || first_id(mapping, members, mapping->inners, &call->items[call->count]) != ONE)
            return 0;
        call->entries[call->count++] = (struct member){{NULL, 0}, from, at};
        if (*(at = after_space(at, end)) == ']') return 1;
        at++; /* the comma: the array has been read before */
    }
}

/* A call's items: those of its array, or the one of its properties. */
static enum found find_items(const struct mapping *mapping, const struct member *properties,
                             struct call *call)
{
    struct member members[KEYS_MAX + 1], *array = &members[mapping->items];
    size_t count = mapping->items + (mapping->array.length > 0);
    enum found found;

    call->count = 0;
    call->entries[0].from = NULL;
    if (!mapping->items && !mapping->inners) { /* no item is looked for: one row */
        call->items[call->count++] = (struct text){NULL, 0};
        return ONE;
    }
    set_names(members, mapping->item, mapping->items);
    *array = (struct member){mapping->array, NULL, NULL};
    if (!properties->from) return ODD;
    if (!after_members(properties->from, properties->to, members, count)) return ODD;
    if (!is_missing(array) && !are_items(mapping, array, call)) return ODD;
    if (call->count) return ONE;
    found = first_id(mapping, members, mapping->items, &call->items[0]);
    call->count = found == ONE;
    return found;
}

/* Days from 1970-01-01 on; -1: there is no such day, or it is before. */
static int64_t day_number(int year, int month, int day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0), past = year - 1, of_month;

    if (year < 1970 || month < 1 || month > 12) return -1;
    of_month = before[month] - before[month - 1] + (month == 2 && is_leap);
    if (day < 1 || day > of_month) return -1;
    return (past - 1969) * INT64_C(365) + past / 4 - past / 100 + past / 400 - LEAP_DAYS_TO_1969 +
           before[month - 1] + (month > 2 && is_leap) + day - 1;
}

static int number(place from, size_t digits)
{
    int value = 0;

    while (digits--) value = value * 10 + *from++ - '0';
    return value;
}

/* Epoch milliseconds of 2026-11-21T18:02:51Z, with any fraction of a second; -1: not sure. */
static int64_t milliseconds_of(struct text text)
{
    static const char form[] = "0000-00-00T00:00:00";
    place at = text.from, end = at + text.length, rest;
    int hour, minute, second, fraction = 0;
    int64_t day;

    if (text.length < sizeof form || text.length > NUMBER_MAX) return -1;
    for (size_t n = 0; form[n]; n++)
        if (form[n] == '0' ? !is_digit(at[n]) : at[n] != form[n]) return -1;
    rest = at + sizeof form - 1;
    if (*rest == '.') {
        place digits = rest + 1;
        if (!(rest = after_digits(digits, end))) return -1;
        for (int n = 0; n < 3; n++)
            fraction = fraction * 10 + (digits + n < rest ? digits[n] - '0' : 0);
    }
    if (end - rest != 1 || *rest != 'Z') return -1;
    day = day_number(number(at, 4), number(at + 5, 2), number(at + 8, 2));
    hour = number(at + 11, 2);
    minute = number(at + 14, 2);
    second = number(at + 17, 2);
    if (day < 0 || hour > 23 || minute > 59 || second > 59) return -1;
    return (((day * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction;
}

static struct text digits_of(int64_t number, unsigned char *room)
{
    unsigned char *end = room + SECONDS_TEXT, *first = end;

    do *--first = (unsigned char)('0' + number % 10);
    while (number /= 10);
    return (struct text){first, (size_t)(end - first)};
}

/* The cells of a call's time; 0: not sure. */
static int has_time(const struct mapping *mapping, const struct member *time, struct call *call)
{
    struct text *moment = &call->cells[MOMENT];

    if (!is_text(time, moment)) return 0;
    if (mapping->literal && moment->length != sizeof "2026-11-21T18:02:51.123Z" - 1) return 0;
    call->milliseconds = milliseconds_of(*moment);
    if (call->milliseconds < 0) return 0;
    call->seconds = call->milliseconds / 1000;
    call->cells[SECONDS] = digits_of(call->seconds, call->digits[0]);
    call->cells[MILLISECONDS] = digits_of(call->milliseconds, call->digits[1]);
    return call->seconds < mapping->seconds_max;
}

/* The place of a member's text in a list; `count` when it is not there, more: not sure. */
static size_t index_of(const struct member *member, const struct text *list, size_t count)
{
    struct text text;
    size_t n = 0;

    if (is_missing(member) || *member->from != '"') return count;
    if (!is_text(member, &text)) return count + 1;
    while (n < count && !is_same(list[n], text)) n++;
    return n;
}

/* Whether the call's type and event are wanted, as which event: ROWS, or why not. */
static enum verdict is_wanted(const struct mapping *mapping, const struct member *type,
                              const struct member *event, struct call *call)
{
    size_t n;

    if (mapping->call_count) {
        n = index_of(type, mapping->calls, mapping->call_count);
        if (n >= mapping->call_count) return n == mapping->call_count ? TYPE_NOT_WANTED : UNSURE;
    }
    if (!mapping->event_count) return ROWS;
    if (is_missing(event) || *event->from != '"') return NO_EVENT;
    n = index_of(event, mapping->events, mapping->event_count);
    if (n >= mapping->event_count) return n == mapping->event_count ? EVENT_NOT_WANTED : UNSURE;
    call->cells[EVENT] = mapping->types[n];
    return ROWS;
}

/* What becomes of a line, in the order in which the rule looks for reasons. */
static enum verdict decide(const struct mapping *mapping, place at, place end, struct call *call)
{
    struct member members[5 + USERS_MAX] = {
        {{(place) "event", 5}, NULL, NULL},
        {{(place) "properties", 10}, NULL, NULL},
        {mapping->time, NULL, NULL},
        {mapping->anonymous, NULL, NULL},
        {{(place) "type", 4}, NULL, NULL},
    };
    struct member *event = &members[0], *properties = &members[1], *time = &members[2];
    struct member *anonymous = &members[3], *type = &members[4], *users = &members[5];
    enum verdict wanted;
    enum found found;

    set_names(users, mapping->user, mapping->users);
    call->whole.from = after_space(at, end);
    call->whole.to = after_members(call->whole.from, end, members, 5 + mapping->users);
    if (!call->whole.to || after_space(call->whole.to, end) != end) return UNSURE;
    if (is_missing(time)) return UNSURE; /* perhaps it is no call at all */
    wanted = is_wanted(mapping, type, event, call);
    if (wanted != ROWS) return wanted;
    found = first_id(mapping, users, mapping->users, &call->cells[USER]);
    if (mapping->users && found != ONE) return found == NONE ? NO_USER_ID : UNSURE;
    call->cells[ANONYMOUS].length = 0;
    found = first_id(mapping, anonymous, 1, &call->cells[ANONYMOUS]);
    if (found == ODD || (found == NONE && mapping->needs_anonymous)) return UNSURE;
    if (!has_time(mapping, time, call)) return UNSURE;
    found = find_items(mapping, properties, call);
    return found == ONE ? ROWS : found == NONE ? NO_ITEM_ID : UNSURE;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The text of a column in a call's row; 0: not sure. */
static int has_cell(const struct mapping *mapping, const struct call *call, size_t row,
                    size_t column, struct text *cell)
{
    if (column == ITEM) *cell = call->items[row];
    else if (column < COLUMN_KINDS) *cell = call->cells[column];
    else return value_cell(&mapping->values[column - COLUMN_KINDS], &call->whole,
                           &call->entries[row], mapping->text_max, cell) != ODD;
    return 1;
}

/* All rows of a call, or the verdict why not; then what was written does not count. */
static enum verdict put_rows(const struct mapping *mapping, const struct call *call,
                             unsigned char *out, size_t room, size_t *bytes)
{
    *bytes = 0;
    for (size_t row = 0; row < call->count; row++) {
        for (size_t n = 0; n < mapping->column_count; n++) {
            struct text cell;
            if (!has_cell(mapping, call, row, mapping->columns[n], &cell)) return UNSURE;
            if (cell.length >= room - *bytes) return FULL;
            if (cell.length) memcpy(out + *bytes, cell.from, cell.length);
            *bytes += cell.length;
            out[(*bytes)++] = n + 1 < mapping->column_count ? ',' : '\n';
        }
    }
    return ROWS;
}

static void count_rows(struct work *work, const struct call *call, double now)
{
    if (!work->rows || call->seconds < work->oldest) work->oldest = call->seconds;
    if (!work->rows || call->seconds > work->newest) work->newest = call->seconds;
    if ((double)call->seconds > now) work->future += call->count;
    work->rows += call->count;
    work->kept++;
}

/* ---- what native.py calls -------------------------------------------------------------------- */

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
        size_t bytes = 0;

        next = line_end ? line_end + 1 : end;
        if (!line_end) line_end = end;
        verdict = at == line_end ? NOTHING : decide(mapping, at, line_end, &call);
        if (verdict == ROWS)
            verdict = put_rows(mapping, &call, work->out + work->written,
                               work->room - work->written, &bytes);
        if (verdict == FULL) {
            if (work->written) break;
            verdict = UNSURE; /* there will never be room */
        }
        if (verdict == ROWS) {
            work->written += bytes;
            count_rows(work, &call, mapping->now);
        } else if (verdict < REASONS && !work->show[verdict]) {
            work->refused[verdict]++;
        } else if (verdict != NOTHING) {
            if (verdict < REASONS) work->show[verdict]--;
            work->handed[work->handed_count++] = (struct handed){
                (size_t)(at - data), (size_t)(line_end - data), work->lines, work->written};
        }
        work->lines++;
        at = next;
    }
    work->taken = (size_t)(at - data) - from;
}
