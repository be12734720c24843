#include "table.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nucleus/base/check.h"
#include "options.h"
#include "say.h"
#include "units.h"

enum { CELL_TEXT_MAX = 64 };

static const void *field(const struct table *t, size_t row,
                         const struct column *c)
{
    return (const char *)t->rows + row * t->row_bytes + c->at;
}

static uint64_t number(const void *at)
{
    uint64_t n;

    memcpy(&n, at, sizeof n);
    return n;
}

/* The text of a string cell, or NULL. */
static const char *text_of(const struct column *c, const void *at)
{
    const char *text;

    if (c->kind == CELL_CHARS) {
        text = at;
        return text[0] == '\0' ? NULL : text;
    }
    memcpy(&text, at, sizeof text);
    return text;
}

/* What the table shows; `text` of CELL_TEXT_MAX bytes is used when needed. */
static const char *shown(const struct column *c, const void *at, char *text)
{
    bool yes;

    switch (c->kind) {
    case CELL_TEXT:
    case CELL_CHARS:
        return text_of(c, at) == NULL ? "-" : text_of(c, at);
    case CELL_BOOL:
        memcpy(&yes, at, sizeof yes);
        return yes ? "yes" : "no";
    case CELL_NUMBER:
    case CELL_NS:
    case CELL_MS:
    case CELL_BYTES:
    case CELL_ID:
    default:
        break;
    }
    uint64_t n = number(at);
    if (n == CELL_NONE) {
        return "-";
    }
    switch (c->kind) {
    case CELL_NS:
        return unit_ns(n, text);
    case CELL_MS:
        return unit_age_ms(n, text);
    case CELL_BYTES:
        return unit_bytes(n, text);
    case CELL_ID:
        snprintf(text, CELL_TEXT_MAX, "%016" PRIx64, n);
        return text;
    case CELL_TEXT:
    case CELL_CHARS:
    case CELL_NUMBER:
    case CELL_BOOL:
    default:
        snprintf(text, CELL_TEXT_MAX, "%" PRIu64, n);
        return text;
    }
}

static json_t *value(const struct column *c, const void *at)
{
    char text[CELL_TEXT_MAX];
    bool yes;

    switch (c->kind) {
    case CELL_TEXT:
    case CELL_CHARS:
        return text_of(c, at) == NULL ? json_null()
                                      : json_string(text_of(c, at));
    case CELL_BOOL:
        memcpy(&yes, at, sizeof yes);
        return json_boolean(yes);
    case CELL_ID:
        return number(at) == CELL_NONE ? json_null()
                                       : json_string(shown(c, at, text));
    case CELL_NUMBER:
    case CELL_NS:
    case CELL_MS:
    case CELL_BYTES:
    default:
        return number(at) == CELL_NONE ? json_null()
                                       : json_integer((json_int_t)number(at));
    }
}

json_t *table_row_json(const struct table *t, size_t row)
{
    json_t *object = json_object();

    CHECK(object != NULL);
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        CHECK(json_object_set_new(object, c->key, value(c, field(t, row, c))) ==
              0);
    }
    return object;
}

static bool put_json(json_t *doc)
{
    int failed = json_dumpf(doc, stdout, JSON_COMPACT);

    json_decref(doc);
    return failed == 0 && fputc('\n', stdout) != EOF && fflush(stdout) == 0;
}

bool table_json(const char *schema, json_t *doc)
{
    json_t *head = json_object();

    CHECK(head != NULL);
    CHECK(json_object_set_new(head, "schema", json_string(schema)) == 0);
    CHECK(json_object_set_new(head, "cluster",
                              options.cluster_chosen[0] == '\0'
                                  ? json_null()
                                  : json_string(options.cluster_chosen)) == 0);
    CHECK(json_object_update_missing(head, doc) == 0);
    json_decref(doc);
    return put_json(head);
}

static bool print_json(const struct table *t)
{
    json_t *items = json_array();
    json_t *doc = json_object();

    CHECK(items != NULL && doc != NULL);
    for (size_t i = 0; i < t->row_count; i++) {
        CHECK(json_array_append_new(items, table_row_json(t, i)) == 0);
    }
    CHECK(json_object_set_new(doc, "items", items) == 0);
    return table_json(t->schema, doc);
}

static bool print_lines(const struct table *t)
{
    for (size_t i = 0; i < t->row_count; i++) {
        if (!put_json(table_row_json(t, i))) {
            return false;
        }
    }
    return true;
}

static bool visible(const struct column *c)
{
    return c->show == SHOW_ALWAYS ||
           (c->show == SHOW_WIDE && options.output == OUTPUT_WIDE);
}

static bool is_right(const struct column *c)
{
    return c->kind != CELL_TEXT && c->kind != CELL_CHARS &&
           c->kind != CELL_BOOL && c->kind != CELL_ID;
}

static void fill_line(struct libscols_line *line, const struct table *t,
                      size_t row)
{
    char text[CELL_TEXT_MAX];
    size_t at = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        if (visible(c)) {
            CHECK(scols_line_set_data(line, at++,
                                      shown(c, field(t, row, c), text)) == 0);
        }
    }
}

static bool print_table(const struct table *t)
{
    struct libscols_table *out = scols_new_table();

    CHECK(out != NULL);
    scols_table_set_column_separator(out, "  ");
    scols_table_enable_nowrap(out, 1);
    for (size_t i = 0; i < t->column_count; i++) {
        if (visible(&t->columns[i])) {
            CHECK(scols_table_new_column(
                      out, t->columns[i].head, 0,
                      is_right(&t->columns[i]) ? SCOLS_FL_RIGHT : 0) != NULL);
        }
    }
    for (size_t i = 0; i < t->row_count; i++) {
        struct libscols_line *line = scols_table_new_line(out, NULL);
        CHECK(line != NULL);
        fill_line(line, t, i);
    }
    int failed = scols_print_table(out);
    scols_unref_table(out);
    return failed == 0 && fflush(stdout) == 0;
}

bool table_print(const struct table *t)
{
    switch (options.output) {
    case OUTPUT_JSON:
        return print_json(t);
    case OUTPUT_JSONL:
        return print_lines(t);
    case OUTPUT_TABLE:
    case OUTPUT_WIDE:
    default:
        break;
    }
    if (t->row_count == 0) {
        say("%s", t->none);
        return true;
    }
    return print_table(t);
}

bool table_card(const struct table *t, size_t row)
{
    char text[CELL_TEXT_MAX];

    if (options.output == OUTPUT_JSON || options.output == OUTPUT_JSONL) {
        return table_json(t->schema, table_row_json(t, row));
    }
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        if (c->show != SHOW_JSON) {
            printf("%-12s %s\n", c->head, shown(c, field(t, row, c), text));
        }
    }
    return fflush(stdout) == 0;
}
