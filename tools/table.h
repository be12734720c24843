#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Listings. One descriptor per column makes both the table and the JSON, so
 * that they cannot drift. Rows are plain structs; a column says where in the
 * row its value stands and what it is. */

enum cell_kind {
    CELL_TEXT,   /* char *; NULL is null, "-" in the table */
    CELL_CHARS,  /* a char array; "" is null */
    CELL_NUMBER, /* uint64_t; CELL_NONE is null */
    CELL_NS,     /* likewise; "96 us" */
    CELL_MS,     /* likewise; "2m 11s" */
    CELL_BYTES,  /* likewise; "3.1 KiB" */
    CELL_ID,     /* likewise; sixteen hex digits, text in JSON */
    CELL_BOOL,   /* bool; yes, no */
};

#define CELL_NONE UINT64_MAX

enum cell_show {
    SHOW_ALWAYS,
    SHOW_WIDE, /* in the table with -o wide only */
    SHOW_JSON, /* never in the table */
};

struct column {
    const char *head; /* "QUEUE" */
    const char *key;  /* "queue_bytes" */
    enum cell_kind kind;
    enum cell_show show;
    size_t at; /* offset in the row */
};

struct table {
    const char *schema; /* "motet.port.list/1" */
    const struct column *columns;
    size_t column_count;
    const void *rows;
    size_t row_bytes;
    size_t row_count;
    const char *none; /* said on stderr when there is no row */
};

#define COLUMN(row, head, key, kind, show, field)   \
    {                                               \
        head, key, kind, show, offsetof(row, field) \
    }

/** Prints as asked for: table, wide, JSON or one JSON object a line.
 *
 * @return false when stdout failed */
bool table_print(const struct table *t);

/** One row as a JSON object. Gives; json_decref(). */
json_t *table_row_json(const struct table *t, size_t row);

/** One row as lines "head  value", JSON when asked for. */
bool table_card(const struct table *t, size_t row);

/** Prints a JSON document on stdout, with schema and cluster in front. Takes
 * `doc`. @return false when stdout failed */
bool table_json(const char *schema, json_t *doc);

#endif
