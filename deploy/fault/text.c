#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "deploy/units/units.h"

enum word_kind {
    WORD_TIME,
    WORD_PART,
    WORD_REST,
    WORD_COUNT,
    WORD_RATE,
    WORD_SIZE,
    WORD_YES
};

/* WORD_REST is written as what is missing to 100 %. */
static const struct word {
    const char *name;
    enum word_kind kind;
    size_t at;
    size_t bytes;
    const char *help;
} words[] = {
#define WORD(name, kind, field, help)                      \
    {                                                      \
        name, kind, offsetof(struct fate_params, field),   \
            sizeof(((struct fate_params *)0)->field), help \
    }
    WORD("delay", WORD_TIME, delay_ns, "each packet is late by this"),
    WORD("jitter", WORD_TIME, jitter_ns, "give or take up to this"),
    WORD("tail", WORD_TIME, tail_ns, "and late by an exponential time besides"),
    WORD("loss", WORD_PART, loss, "packets lost, each by itself"),
    WORD("burst", WORD_PART, burst, "chance that a burst of losses begins"),
    WORD("burst-length", WORD_COUNT, burst_length,
         "packets of a burst, in the mean (8)"),
    WORD("burst-loss", WORD_REST, burst_kept, "lost in a burst (100%)"),
    WORD("duplicate", WORD_PART, duplicate, "packets that come twice"),
    WORD("reorder", WORD_PART, reorder, "packets held back, others overtake"),
    WORD("reorder-by", WORD_TIME, reorder_by_ns, "for up to this (10ms)"),
    WORD("corrupt", WORD_PART, corrupt, "packets with one bit wrong"),
    WORD("rate", WORD_RATE, rate, "bytes a second; none = no limit"),
    WORD("queue", WORD_SIZE, queue, "bytes that may wait for the rate"),
    WORD("cut", WORD_YES, cut, "nothing passes"),
    WORD("blackhole", WORD_YES, blackhole, "all is taken and lost"),
    WORD("clog", WORD_YES, clog, "all is held back, nothing is lost"),
    WORD("reset", WORD_YES, reset, "connections that use it break"),
#undef WORD
};

static const char *const values[] = {
    [WORD_TIME] = "TIME", [WORD_PART] = "PERCENT", [WORD_REST] = "PERCENT",
    [WORD_COUNT] = "N",   [WORD_RATE] = "RATE",    [WORD_SIZE] = "SIZE",
    [WORD_YES] = NULL,
};

static const char *const samples[] = {
    [WORD_TIME] = "a time like 20ms",
    [WORD_PART] = "a part like 1%",
    [WORD_REST] = "a part like 50%",
    [WORD_COUNT] = "a number of 1 to 1000000",
    [WORD_RATE] = "a rate like 64KiB/s, 10mbit or none",
    [WORD_SIZE] = "a size like 64KiB",
    [WORD_YES] = "yes or no",
};

const char *fate_word(size_t i, const char **value, const char **help)
{
    if (i >= ARRAY_LEN(words)) {
        return NULL;
    }
    *value = values[words[i].kind];
    *help = words[i].help;
    return words[i].name;
}

/* ---- fields ----------------------------------------------------------------
 */

static uint64_t get(const struct fate_params *p, const struct word *w)
{
    const void *at = (const char *)p + w->at;
    if (w->bytes == sizeof(uint64_t)) {
        uint64_t v;
        memcpy(&v, at, sizeof v);
        return v;
    }
    if (w->bytes == sizeof(uint32_t)) {
        uint32_t v;
        memcpy(&v, at, sizeof v);
        return v;
    }
    bool v;
    memcpy(&v, at, sizeof v);
    return v;
}

static void put(struct fate_params *p, const struct word *w, uint64_t value)
{
    void *at = (char *)p + w->at;
    if (w->bytes == sizeof(uint64_t)) {
        memcpy(at, &value, sizeof value);
    } else if (w->bytes == sizeof(uint32_t)) {
        const uint32_t v = (uint32_t)value;
        memcpy(at, &v, sizeof v);
    } else {
        const bool v = value != 0;
        memcpy(at, &v, sizeof v);
    }
}

/* ---- reading ---------------------------------------------------------------
 */

enum {
    VALUE_MAX = 64,
    BITS_MAX = 125000000, /* bytes a second that are written in bits */
};

static bool read_rate(const char *text, uint64_t *rate)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } bits[] = {{"kbit", 125}, {"mbit", 125000}, {"gbit", 125000000}};
    char number[VALUE_MAX];
    const size_t n = strlen(text);
    if (strcmp(text, "none") == 0) {
        *rate = 0;
        return true;
    }
    if (n > 2 && strcmp(text + n - 2, "/s") == 0) {
        snprintf(number, sizeof number, "%.*s", (int)(n - 2), text);
        return unit_size(number, rate) && *rate > 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
        const size_t unit = strlen(bits[i].unit);
        if (n > unit && strcmp(text + n - unit, bits[i].unit) == 0) {
            snprintf(number, sizeof number, "%.*s", (int)(n - unit), text);
            if (!unit_count(number, rate) || *rate == 0 || *rate > 1000000) {
                return false;
            }
            *rate *= bits[i].factor;
            return true;
        }
    }
    return false;
}

static bool read_value(const struct word *w, const char *text, uint64_t *value)
{
    switch (w->kind) {
    case WORD_TIME:
        return unit_duration(text, value);
    case WORD_PART:
        return unit_percent(text, value);
    case WORD_REST:
        if (!unit_percent(text, value)) {
            return false;
        }
        *value = FATE_CERTAIN - *value;
        return true;
    case WORD_COUNT:
        return unit_count(text, value) && *value >= 1 && *value <= 1000000;
    case WORD_RATE:
        return read_rate(text, value);
    case WORD_SIZE:
        return unit_size(text, value) && *value > 0;
    case WORD_YES:
        *value = strcmp(text, "yes") == 0 || text[0] == '\0';
        return *value != 0 || strcmp(text, "no") == 0;
    }
    return false;
}

static const struct word *find(const char *name, size_t bytes, size_t *index)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strlen(words[i].name) == bytes &&
            strncmp(words[i].name, name, bytes) == 0) {
            *index = i;
            return &words[i];
        }
    }
    return NULL;
}

/* What is told is one line, whatever was read. */
static void tidy(char *why)
{
    for (; *why != '\0'; why++) {
        if ((unsigned char)*why < ' ' || *why == 0x7f) {
            *why = '?';
        }
    }
}

bool fate_read_word(struct fate_change *c, const char *word, char *why)
{
    const size_t bytes = strcspn(word, "=");
    const bool has = word[bytes] == '=';
    uint64_t value;
    size_t index;
    const struct word *w = find(word, bytes, &index);
    if (w == NULL) {
        snprintf(why, FATE_WHY_MAX, "no fault \"%.*s\"",
                 bytes < 40 ? (int)bytes : 40, word);
        tidy(why);
        return false;
    }
    const char *text = word + bytes + (has ? 1 : 0);
    if ((has ? text[0] == '\0' : w->kind != WORD_YES) ||
        strlen(text) >= VALUE_MAX || !read_value(w, text, &value)) {
        snprintf(why, FATE_WHY_MAX, "%s: \"%.40s\" is not %s", w->name, text,
                 samples[w->kind]);
        tidy(why);
        return false;
    }
    c->named |= (fate_words)1 << index;
    put(&c->value, w, value);
    return true;
}

bool fate_read(struct fate_change *c, const char *text, char *why)
{
    static const char gaps[] = " \t,";
    for (text += strspn(text, gaps); *text != '\0';
         text += strspn(text, gaps)) {
        char word[VALUE_MAX * 2];
        const size_t n = strcspn(text, gaps);
        snprintf(word, sizeof word, "%.*s",
                 n < sizeof word ? (int)n : (int)sizeof word - 1, text);
        if (!fate_read_word(c, word, why)) {
            return false;
        }
        text += n;
    }
    return true;
}

/* ---- changes ---------------------------------------------------------------
 */

void fate_change_apply(const struct fate_change *c, struct fate_params *p)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if ((c->named >> i & 1) != 0) {
            put(p, &words[i], get(&c->value, &words[i]));
        }
    }
}

struct fate_change fate_change_of(const struct fate_params *p)
{
    struct fate_change c = {.value = *p};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (get(p, &words[i]) != 0) {
            c.named |= (fate_words)1 << i;
        }
    }
    return c;
}

/* ---- writing ---------------------------------------------------------------
 */

static void write_scaled(char *text, uint64_t v, const uint64_t *factors,
                         const char *const *units, size_t count)
{
    size_t i = 0;
    while (i + 1 < count && (v == 0 || v % factors[i] != 0)) {
        i++;
    }
    snprintf(text, VALUE_MAX, "%" PRIu64 "%s", v / factors[i], units[i]);
}

static void write_part(char *text, uint64_t ppm)
{
    int n = snprintf(text, VALUE_MAX, "%" PRIu64 ".%04" PRIu64, ppm / 10000,
                     ppm % 10000);
    while (text[n - 1] == '0') {
        n--;
    }
    n -= text[n - 1] == '.' ? 1 : 0;
    snprintf(text + n, (size_t)(VALUE_MAX - n), "%%");
}

static void write_rate(char *text, uint64_t rate)
{
    static const uint64_t factors[] = {125000, 125, 1};
    static const char *const units[] = {"mbit", "kbit", "B/s"};
    if (rate == 0) {
        snprintf(text, VALUE_MAX, "none");
    } else if (rate % 1024 == 0 || rate > BITS_MAX) {
        static const uint64_t sizes[] = {1024, 1};
        static const char *const size_units[] = {"KiB/s", "B/s"};
        write_scaled(text, rate, sizes, size_units, ARRAY_LEN(sizes));
    } else {
        write_scaled(text, rate, factors, units, ARRAY_LEN(factors));
    }
}

static void write_value(const struct word *w, uint64_t v, char *text)
{
    static const uint64_t times[] = {1000000000, 1000000, 1000, 1};
    static const char *const time_units[] = {"s", "ms", "us", "ns"};
    static const uint64_t sizes[] = {1 << 20, 1 << 10, 1};
    static const char *const size_units[] = {"MiB", "KiB", "B"};
    switch (w->kind) {
    case WORD_TIME:
        write_scaled(text, v, times, time_units, ARRAY_LEN(times));
        break;
    case WORD_PART:
        write_part(text, v);
        break;
    case WORD_REST:
        write_part(text, FATE_CERTAIN - v);
        break;
    case WORD_COUNT:
        snprintf(text, VALUE_MAX, "%" PRIu64, v);
        break;
    case WORD_RATE:
        write_rate(text, v);
        break;
    case WORD_SIZE:
        write_scaled(text, v, sizes, size_units, ARRAY_LEN(sizes));
        break;
    case WORD_YES:
        snprintf(text, VALUE_MAX, v != 0 ? "yes" : "no");
        break;
    }
}

const char *fate_write(const struct fate_change *c, char *text)
{
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        char value[VALUE_MAX];
        if ((c->named >> i & 1) == 0) {
            continue;
        }
        const uint64_t v = get(&c->value, &words[i]);
        const bool alone = words[i].kind == WORD_YES && v != 0;
        write_value(&words[i], v, value);
        n += (size_t)snprintf(text + n, FATE_TEXT_MAX - n, "%s%s%s%s",
                              n > 0 ? " " : "", words[i].name, alone ? "" : "=",
                              alone ? "" : value);
        CHECK(n < FATE_TEXT_MAX);
    }
    return text;
}
