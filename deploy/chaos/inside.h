#ifndef CHAOS_INSIDE_H
#define CHAOS_INSIDE_H

#include <yaml.h>

#include "scenario.h"

/* The inside of the reader of scenario files.
 *
 *   read.c          maps and lists, what belongs where
 *   read_values.c   single values, and how a wrong one is told */

struct reader {
    struct scenario *to;
    const char *path;
    char *why;
    yaml_document_t doc;
    bool failed;
};

/* What a key takes. Times are in ns. */
enum type {
    TYPE_NAME,  /* text of letters that names can have */
    TYPE_TEXT,  /* any text */
    TYPE_COUNT, /* with `low` and `high` */
    TYPE_TIME,
    TYPE_RATE,
    TYPE_SWITCH,
    TYPE_OTHER, /* by a function */
};

struct key {
    const char *name;
    enum type type;
    size_t at; /* offset in what is read into */
    size_t size;
    uint64_t low, high;
    void (*read)(struct reader *r, yaml_node_t *node, void *into);
};

#define YEAR_NS 31536000000000000ULL
#define FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)

/** The first thing that is wrong counts. `node` NULL: the first line. */
__attribute__((format(printf, 3, 4))) void
read_fail(struct reader *r, const yaml_node_t *node, const char *format, ...);

/** The text of a scalar; "" and a failure for anything else. */
const char *read_word(struct reader *r, const yaml_node_t *node,
                      const char *what);

/** The value of a key, into the field that the key names. */
void read_value(struct reader *r, const struct key *k, yaml_node_t *node,
                void *into);

/** A number of digits only, in a range. */
bool read_count(const char *text, uint64_t low, uint64_t high, uint64_t *value);

/** What "by" says of a fault: see chaos_unit(). `node` NULL: nothing. */
void read_by(struct reader *r, struct chaos_fault *f, const yaml_node_t *node,
             const yaml_node_t *whole);

#endif
