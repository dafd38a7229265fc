/* Values of a call that become cells of CSV: ids, and columns of their own. */

#include "scan_json.h"

enum {
    STEPS_MAX = 4, /* names of a path */
    PATHS_MAX = 4, /* of a value, in order of precedence */
    DECIMAL_MAX = 16, /* characters: fifteen digits come back as they went into a double */
};

enum kind { STRING, INTEGER, NUMBER, BOOLEAN };

struct path {
    struct text steps[STEPS_MAX];
    size_t count;
    size_t in_entry; /* it begins in an entry of the array, not in the call */
};

struct value {
    struct path paths[PATHS_MAX];
    size_t count;
    size_t kind;
};

enum found { NONE, ONE, ODD };

static struct text token_of(const struct member *member)
{
    return (struct text){member->from, (size_t)(member->to - member->from)};
}

/* A text as CSV writes it: in quotes where it holds a comma, as it stands in the line. */
static enum found text_cell(const struct member *member, size_t bytes_max, struct text *cell)
{
    if (!is_text(member, cell) || cell->length > bytes_max) return ODD;
    if (memchr(cell->from, ',', cell->length)) *cell = token_of(member);
    return ONE;
}

/* Whether Python writes the number as it stands here: a whole one, or one of few digits. */
static int is_same_in_python(struct text number)
{
    place point, at = number.from, end = at + number.length;

    if (*at == '-') at++;
    point = memchr(at, '.', (size_t)(end - at));
    for (place digit = at; digit < end; digit++)
        if (digit != point && !is_digit(*digit)) return 0;
    if (!point) return *at != '0' || at == number.from;
    if (end - at > DECIMAL_MAX || (end[-1] == '0' && end - point > 2)) return 0;
    return *at != '0' || end - point < 5 || memcmp(point, ".0000", 5);
}

static enum found number_cell(struct text number, size_t kind, struct text *cell)
{
    int is_whole = 1;

    for (size_t n = 0; n < number.length; n++)
        if (memchr(".eE", number.from[n], 3)) is_whole = 0;
    if (kind == BOOLEAN || (kind == INTEGER && !is_whole)) return NONE;
    *cell = number;
    return is_same_in_python(number) ? ONE : ODD;
}

/* What a value is in a column of this kind; NONE: it is of another. */
static enum found cell_of(const struct member *member, size_t kind, size_t bytes_max,
                          struct text *cell)
{
    if (is_missing(member)) return NONE;
    switch (*member->from) {
    case '{':
    case '[': return NONE;
    case '"': return kind == STRING ? text_cell(member, bytes_max, cell) : NONE;
    case 't':
    case 'f': *cell = token_of(member); return kind == STRING || kind == BOOLEAN ? ONE : NONE;
    default: return number_cell(token_of(member), kind, cell);
    }
}

/* What lies at a path, if anything; 0: not sure. */
static int has_looked(const struct path *path, struct member *found)
{
    for (size_t n = 0; n < path->count && found->from; n++) {
        struct member step = {path->steps[n], NULL, NULL};
        if (*found->from == '{' && !after_members(found->from, found->to, &step, 1)) return 0;
        *found = step;
    }
    return 1;
}

/* The first of a value's paths that holds one of its kind. */
static enum found value_cell(const struct value *value, const struct member *call,
                             const struct member *entry, size_t bytes_max, struct text *cell)
{
    for (size_t n = 0; n < value->count; n++) {
        struct member found = value->paths[n].in_entry ? *entry : *call;
        enum found how;
        if (!has_looked(&value->paths[n], &found)) return ODD;
        how = cell_of(&found, value->kind, bytes_max, cell);
        if (how != NONE) return how;
    }
    cell->length = 0;
    return NONE;
}
