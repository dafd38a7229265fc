/* What a blend says of every item, in one call for a request.

   blend.py and its scorers say what that is, and say it themselves where this was not built. Every
   number is the same but for the order in which floats are added.

   native.py has the same structures; SOURCE ties a library to the text it was made of. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef SOURCE
#define SOURCE ""
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default"))) /* the machine's choice */
#else
#define WIDE
#endif

#define SECONDS_PER_DAY 86400.0
#define LEAST_POWER -87.0f /* of e, for a float that is not next to nothing */
#define CONSTANT 1e-6 /* a deviation below this part of the mean is none */

enum {
    BLOCK = 512,     /* floats that are summed before they count as doubles */
    PLACE_BITS = 5,  /* of a person's word: the newest place they share; the votes are above */
    FARTHEST = 9,    /* places back; what lies farther counts as if it were there */
    LINE = 64,       /* bytes that memory is read by */
    FETCHED = 256,   /* bytes of a row that are asked for before they are needed */
    AHEAD = 4,       /* people whose rows are */
};

/* ---- what native.py gives -------------------------------------------------------------------- */

enum kind { ROWS, SETS, SESSIONS, PERSONAL, REPEAT };

struct rows { /* native.py has checked that every entry is a number within the vector */
    const int64_t *starts;
    const int32_t *columns;
    const float *weights;
};

struct buckets {
    const int32_t *of; /* by number, the last for all that are greater */
    int64_t greatest, count;
};

struct part {
    int64_t kind;
    double weight;
    int64_t last;                /* newest rows of the history that count */
    struct rows rows, people;    /* of an item: items, or who had them; of those: their items */
    const float *scale;          /* by place; SESSIONS: by item; REPEAT: by buckets and kind */
    int64_t voices, sample;      /* people who are listened to; newest of an item looked at */
    double half_life_days;
    struct buckets counts, places;
    int64_t kinds;
};

struct blend {
    int64_t size, count; /* items, parts */
    const struct part *parts;
};

struct past { /* of one user, oldest first */
    const int32_t *item;
    const double *time;
    const int16_t *kind;
    int64_t length;
    double now;
};

struct choice {
    float score;
    int32_t number;
};

struct room { /* for one call at a time; all but `items`, `people` and `chosen` are zeros before it */
    float *scores;         /* by item */
    unsigned char *marks;  /* by item */
    int32_t *items;        /* as many as there are */
    int32_t *votes;        /* by person */
    int32_t *people;       /* as many as there are */
    struct choice *chosen; /* as many as have a voice */
};

/* ---- the best people -------------------------------------------------------------------------------- */

/* Equal scores are in the order of their numbers. */
static int is_better(struct choice one, struct choice other)
{
    return one.score > other.score || (one.score == other.score && one.number < other.number);
}

/* Puts `one` at the top of a heap whose first is the worst. */
static void settle(struct choice *heap, int64_t count, struct choice one)
{
    int64_t at = 0, next;

    while ((next = 2 * at + 1) < count) {
        if (next + 1 < count && is_better(heap[next], heap[next + 1])) next++;
        if (!is_better(one, heap[next])) break;
        heap[at] = heap[next];
        at = next;
    }
    heap[at] = one;
}

/* Keeps the best `most` of all that are offered; how many there are now. */
static int64_t offer(struct choice *heap, int64_t count, int64_t most, struct choice one)
{
    int64_t at = count, above;

    if (count == most) {
        if (count && is_better(one, heap[0])) settle(heap, count, one);
        return count;
    }
    while (at && is_better(heap[above = (at - 1) / 2], one)) {
        heap[at] = heap[above];
        at = above;
    }
    heap[at] = one;
    return count + 1;
}

/* ---- scores ---------------------------------------------------------------------------------- */

struct moments {
    double sum, squares;
};

WIDE static struct moments moments_of(const float *scores, int64_t size)
{
    struct moments found = {0.0, 0.0};

    for (int64_t from = 0; from < size; from += BLOCK) {
        int64_t to = from + BLOCK < size ? from + BLOCK : size;
        float sum = 0.0f, squares = 0.0f;
#pragma omp simd reduction(+ : sum, squares)
        for (int64_t n = from; n < to; n++) {
            sum += scores[n];
            squares += scores[n] * scores[n];
        }
        found.sum += sum;
        found.squares += squares;
    }
    return found;
}

/* One by the deviation, times the part's weight; `level`: what that makes of the mean. */
static float factor_of(struct moments moments, int64_t size, double weight, double *level)
{
    double mean = moments.sum / (double)size, spread = moments.squares / (double)size - mean * mean;

    spread = spread > 0.0 ? sqrt(spread) : 0.0;
    if (spread < CONSTANT * fmax(fabs(mean), CONSTANT)) return 0.0f;
    *level += weight / spread * mean;
    return (float)(weight / spread);
}

WIDE static void add_all(const struct blend *blend, const struct part *part,
                         const struct room *room, float *restrict total, double *level)
{
    float *restrict scores = room->scores;
    float factor = factor_of(moments_of(scores, blend->size), blend->size, part->weight, level);

#pragma omp simd
    for (int64_t n = 0; n < blend->size; n++) total[n] += factor * scores[n];
    memset(scores, 0, (size_t)blend->size * sizeof *scores);
}

/* The same where all but the first `count` of room->items have 0. */
static void add_few(const struct blend *blend, const struct part *part, const struct room *room,
                    int64_t count, float *total, double *level)
{
    struct moments moments = {0.0, 0.0};
    float factor;

    for (int64_t n = 0; n < count; n++) {
        double score = room->scores[room->items[n]];
        moments.sum += score;
        moments.squares += score * score;
    }
    factor = factor_of(moments, blend->size, part->weight, level);
    for (int64_t n = 0; n < count; n++) {
        total[room->items[n]] += factor * room->scores[room->items[n]];
        room->scores[room->items[n]] = 0.0f;
    }
}

/* The items of the newest `last` rows once each, the newest first: how many, in room->items. */
static int64_t distinct(const struct past *past, int64_t last, const struct room *room)
{
    int64_t until = past->length > last ? past->length - last : 0, count = 0;

    for (int64_t n = past->length; n-- > until;) {
        if (room->marks[past->item[n]]) continue;
        room->marks[past->item[n]] = 1;
        room->items[count++] = past->item[n];
    }
    for (int64_t n = 0; n < count; n++) room->marks[room->items[n]] = 0;
    return count;
}

/* A row's beginning comes into the cache while another one is added. */
static void fetch(const struct rows *rows, int32_t row)
{
    const char *columns = (const char *)(rows->columns + rows->starts[row]);
    const char *weights = (const char *)(rows->weights + rows->starts[row]);

    for (int at = 0; at < FETCHED; at += LINE) {
        __builtin_prefetch(columns + at);
        if (rows->weights) __builtin_prefetch(weights + at);
    }
}

static void add_row(const struct rows *rows, int32_t row, float voice, float *scores)
{
    int64_t end = rows->starts[row + 1];

    for (int64_t n = rows->starts[row]; n < end; n++)
        scores[rows->columns[n]] += voice * rows->weights[n];
}

static void add_rows(const struct part *part, const struct past *past, const struct room *room)
{
    int64_t last = past->length < part->last ? past->length : part->last, count;

    if (part->kind == SETS) {
        count = distinct(past, last, room);
        for (int64_t n = 0; n < count; n++) {
            if (n + 1 < count) fetch(&part->rows, room->items[n + 1]);
            add_row(&part->rows, room->items[n], part->scale[n], room->scores);
        }
    } else {
        const int32_t *newest = past->item + past->length - 1;
        for (int64_t n = 0; n < last; n++) {
            if (n + 1 < last) fetch(&part->rows, newest[-n - 1]);
            add_row(&part->rows, newest[-n], part->scale[n], room->scores);
        }
    }
}

/* Those who share the most of the newest items, with their votes, in room->chosen: how many. */
static int64_t choose_people(const struct part *part, const struct past *past,
                             const struct room *room)
{
    int64_t items = distinct(past, part->last, room), found = 0, chosen = 0;

    for (int64_t place = 0; place < items; place++) {
        int64_t n = part->rows.starts[room->items[place]];
        int64_t end = part->rows.starts[room->items[place] + 1];
        if (end - n > part->sample) n = end - part->sample;
        for (; n < end; n++) {
            int32_t person = part->rows.columns[n], *votes = &room->votes[person];
            if (!*votes) {
                room->people[found++] = person;
                *votes = (int32_t)place;
            }
            *votes += (int32_t)(part->last - place) << PLACE_BITS;
        }
    }
    for (int64_t n = 0; n < found; n++) {
        int32_t person = room->people[n];
        struct choice one = {(float)(room->votes[person] >> PLACE_BITS), person};
        chosen = offer(room->chosen, chosen, part->voices, one);
    }
    for (int64_t n = 0; n < chosen; n++) { /* a voice is less where what they share lies back */
        int32_t nearest = room->votes[room->chosen[n].number] & ((1 << PLACE_BITS) - 1);
        double near = 1.0 - 0.1 * (nearest < FARTHEST ? nearest : FARTHEST);
        room->chosen[n].score = (float)(room->chosen[n].score * near / (double)part->last);
    }
    for (int64_t n = 0; n < found; n++) room->votes[room->people[n]] = 0;
    return chosen;
}

static void add_sessions(const struct blend *blend, const struct part *part,
                         const struct past *past, const struct room *room)
{
    int64_t count = choose_people(part, past, room);
    float *scores = room->scores;

    for (int64_t n = 0; n < count; n++) {
        int64_t end = part->people.starts[room->chosen[n].number + 1];
        if (n + AHEAD < count) fetch(&part->people, room->chosen[n + AHEAD].number);
        for (int64_t at = part->people.starts[room->chosen[n].number]; at < end; at++)
            scores[part->people.columns[at]] += room->chosen[n].score;
    }
#pragma omp simd
    for (int64_t n = 0; n < blend->size; n++) scores[n] *= part->scale[n];
}

static int64_t add_personal(const struct part *part, const struct past *past,
                            const struct room *room)
{
    for (int64_t n = 0; n < past->length; n++) {
        double days = fmax(past->now - past->time[n], 0.0) / SECONDS_PER_DAY;
        room->scores[past->item[n]] += (float)exp2(-days / part->half_life_days);
    }
    return distinct(past, past->length, room);
}

static int64_t bucket(const struct buckets *buckets, int64_t number)
{
    return buckets->of[number < buckets->greatest ? number : buckets->greatest];
}

/* The chance of each item by how often it was used, how many others since, and what for. */
static int64_t add_repeat(const struct part *part, const struct past *past,
                          const struct room *room)
{
    int64_t count = distinct(past, past->length, room), left = count;

    for (int64_t n = 0; n < past->length; n++) room->scores[past->item[n]] += 1.0f;
    for (int64_t n = past->length; left && n-- > 0;) {
        int64_t kind = past->kind[n], place = count - left, at;
        if (past->item[n] != room->items[place]) continue; /* the newest row of each, in order */
        if (kind > part->kinds - 1) kind = part->kinds - 1;
        if (kind < 0) kind = 0;
        at = bucket(&part->counts, (int64_t)room->scores[past->item[n]]) * part->places.count;
        at = (at + bucket(&part->places, place + 1)) * part->kinds + kind;
        room->scores[past->item[n]] = part->scale[at];
        left--;
    }
    return count;
}

/* ---- what native.py calls -------------------------------------------------------------------- */

const char *tailorbird_adding_source(void)
{
    return SOURCE;
}

/* Adds the standardised scores of every part to `total`; what is to be taken from each of them for
   their means, or no number when the history holds an item that there is not. */
double tailorbird_blend(const struct blend *blend, const struct room *room, const int32_t *item,
                        const double *time, const int16_t *kind, int64_t length, double now,
                        float *total)
{
    struct past past = {item, time, kind, length, now};
    double level = 0.0;
    int64_t count;

    for (int64_t n = 0; n < length; n++)
        if (item[n] < 0 || item[n] >= blend->size) return NAN;
    for (const struct part *part = blend->parts; part < blend->parts + blend->count; part++) {
        if (part->kind == PERSONAL || part->kind == REPEAT) {
            count = (part->kind == PERSONAL ? add_personal : add_repeat)(part, &past, room);
            add_few(blend, part, room, count, total, &level);
        } else {
            if (part->kind == SESSIONS) add_sessions(blend, part, &past, room);
            else add_rows(part, &past, room);
            add_all(blend, part, room, total, &level);
        }
    }
    return level;
}

/* e to the power of x, from 0 down: by a polynomial over the half powers of 2 around each whole one
   (Cephes' expf; within 2 units in the last place). */
static inline float raised(float x)
{
    const float whole = 12582912.0f; /* added to a small number, it leaves no room for a fraction */
    float power, rest, found;
    int32_t bits;

    x = x > LEAST_POWER ? x : LEAST_POWER;
    power = x * 1.44269504f + whole;
    memcpy(&bits, &power, sizeof bits);
    power -= whole;
    rest = x - power * 0.693359375f + power * 2.12194440e-4f;
    found = 1.9875691500e-4f * rest + 1.3981999507e-3f;
    found = found * rest + 8.3334519073e-3f;
    found = found * rest + 4.1665795894e-2f;
    found = found * rest + 1.6666665459e-1f;
    found = found * rest + 5.0000001201e-1f;
    found = found * rest * rest + rest + 1.0f;
    bits = (int32_t)(((uint32_t)bits + 127u) << 23);
    memcpy(&power, &bits, sizeof power);
    return found * power;
}

/* The sum of e to the power of every score less the highest one. */
WIDE double tailorbird_shares(const float *scores, int64_t size, float *highest)
{
    double total = 0.0;
    float most = scores[0];

#pragma omp simd reduction(max : most)
    for (int64_t n = 0; n < size; n++) most = scores[n] > most ? scores[n] : most;
    for (int64_t from = 0; from < size; from += BLOCK) {
        int64_t to = from + BLOCK < size ? from + BLOCK : size;
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int64_t n = from; n < to; n++) sum += raised(scores[n] - most);
        total += sum;
    }
    *highest = most;
    return total;
}
