#include "clusterfile.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "clusterfile_check.h"
#include "say.h"

/* The shape of the file, for libcyaml; what it means is looked at in
 * clusterfile_check.c. */

enum {
    TEXT_MAX = 1024,
    ACTORS_MAX = 14, /* a site takes 16 */
    PROGRAMS_MAX = 16,
    ARGS_MAX = 64,
    LINKS_MAX = 256,
};

#define TEXT(key, type, field)                                            \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, \
                           type, field, 1, TEXT_MAX)
#define NEEDED(key, type, field) \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, field, 1, TEXT_MAX)

static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, TEXT_MAX)};

static const cyaml_schema_field_t program_fields[] = {
    NEEDED("run", struct file_program, run),
    CYAML_FIELD_SEQUENCE("args", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct file_program, args, &text_schema, 0, ARGS_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t program_schema = {CYAML_VALUE_MAPPING(
    CYAML_FLAG_DEFAULT, struct file_program, program_fields)};

static const cyaml_schema_field_t site_fields[] = {
    NEEDED("name", struct file_site, name),
    TEXT("ground", struct file_site, ground),
    TEXT("memory", struct file_site, memory),
    CYAML_FIELD_SEQUENCE("actors", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct file_site, actors, &text_schema, 0, ACTORS_MAX),
    CYAML_FIELD_SEQUENCE("start", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct file_site, start, &program_schema, 0,
                         PROGRAMS_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t site_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_site, site_fields)};

static const cyaml_schema_field_t link_fields[] = {
    CYAML_FIELD_SEQUENCE("between", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct file_link, between, &text_schema, 2, 2),
    TEXT("from", struct file_link, from),
    TEXT("to", struct file_link, to),
    TEXT("faults", struct file_link, faults),
    TEXT("transport", struct file_link, transport),
    CYAML_FIELD_END};
static const cyaml_schema_value_t link_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_link, link_fields)};

static const cyaml_schema_field_t file_fields[] = {
    TEXT("name", struct cluster_file, name),
    TEXT("ground", struct cluster_file, ground),
    TEXT("memory", struct cluster_file, memory),
    CYAML_FIELD_SEQUENCE("sites", CYAML_FLAG_POINTER, struct cluster_file,
                         sites, &site_schema, 1, CLUSTER_SITES_MAX),
    CYAML_FIELD_SEQUENCE("links", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct cluster_file, links, &link_schema, 0,
                         LINKS_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t file_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct cluster_file, file_fields)};

/* ---- what libcyaml says ----------------------------------------------------
 */

struct said {
    char what[256];
    unsigned line; /* the innermost of its way there */
};

__attribute__((format(printf, 3, 0))) static void
on_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    static const char mark[] = "(line: ";
    struct said *s = ctx;
    char text[512];
    (void)level;

    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    const char *at = strstr(text, mark);
    if (at != NULL && s->line == 0) {
        s->line = (unsigned)strtoul(at + sizeof mark - 1, NULL, 10);
    } else if (at == NULL && s->what[0] == '\0') {
        static const char load[] = "Load: ";
        const bool led = strncmp(text, load, sizeof load - 1) == 0;
        snprintf(s->what, sizeof s->what, "%.255s",
                 text + (led ? sizeof load - 1 : 0));
    }
}

/* The rest of a message that begins so. */
static const char *after(const char *text, const char *beginning)
{
    const size_t n = strlen(beginning);

    return strncmp(text, beginning, n) == 0 ? text + n : NULL;
}

static void hint_key(const char *key)
{
    static const char *const keys[] = {
        "name", "ground", "memory",  "sites", "links", "actors", "start",
        "run",  "args",   "between", "from",  "to",    "faults", "transport"};
    const char *near = say_nearest(key, keys, ARRAY_LEN(keys));

    if (near != NULL) {
        say_hint("did you mean: %s", near);
        return;
    }
    say_hint("of the file: name, ground, memory, sites, links; of a link: "
             "between, from, to, faults");
    say_hint("of a site: name, ground, memory, actors, start; of a program: "
             "run, args");
}

static void tell(const char *path, const char *text, const struct said *s)
{
    const char *rest;

    if ((rest = after(s->what, "Unexpected key: ")) != NULL) {
        /* the reader tells where the list of keys begins */
        say_error("%.200s:%u: unknown key \"%s\"", path,
                  clusterfile_line(text, rest, 1, s->line), rest);
        hint_key(rest);
    } else if ((rest = after(s->what, "Missing required mapping field: ")) !=
               NULL) {
        say_error("%.200s:%u: \"%s\" is missing", path, s->line, rest);
        say_hint("add a line: %s: ...", rest);
    } else if ((rest = after(s->what, "Mapping field already seen: ")) !=
               NULL) {
        say_error("%.200s:%u: \"%s\" is there twice", path, s->line, rest);
        say_hint("keep one of them");
    } else if ((rest = after(s->what, "Expecting ")) != NULL) {
        const char *kind = strncmp(rest, "SEQ", 3) == 0   ? "a list"
                           : strncmp(rest, "MAP", 3) == 0 ? "key: value lines"
                                                          : "one word or text";
        say_error("%.200s:%u: %s is expected here", path, s->line, kind);
        say_hint("see an example: motet help up");
    } else {
        say_error("%.200s:%u: %s", path, s->line, s->what);
        say_hint("see an example: motet help up");
    }
}

/* ---- reading ---------------------------------------------------------------
 */

static cyaml_config_t config_of(struct said *s)
{
    return (cyaml_config_t){.log_fn = on_log,
                            .log_ctx = s,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
}

static enum exit_code cannot_read(const char *path)
{
    say_error("%.200s: %s", path, strerror(errno));
    say_hint("say which file: motet up -f FILE");
    return EXIT_USAGE;
}

enum exit_code clusterfile_read(const char *path, struct cluster_file **file)
{
    struct said said = {.what = ""};
    const cyaml_config_t config = config_of(&said);
    char *text = clusterfile_text(path);
    union {
        struct cluster_file *file;
        cyaml_data_t *data;
    } u = {.file = NULL};

    *file = NULL;
    if (text == NULL) {
        return cannot_read(path);
    }
    const cyaml_err_t err =
        cyaml_load_data((const uint8_t *)text, strlen(text), &config,
                        &file_schema, &u.data, NULL);
    enum exit_code code = EXIT_USAGE;
    if (err != CYAML_OK) {
        if (said.what[0] == '\0') {
            snprintf(said.what, sizeof said.what, "%s", cyaml_strerror(err));
        }
        tell(path, text, &said);
    } else if (u.file == NULL) {
        say_error("%.200s:1: nothing is in it", path);
        say_hint("see an example: motet help up");
    } else {
        code = clusterfile_check(path, text, u.file);
    }
    free(text);
    if (code != EXIT_DONE) {
        clusterfile_free(u.file);
        return code;
    }
    *file = u.file;
    return EXIT_DONE;
}

void clusterfile_free(struct cluster_file *file)
{
    struct said said = {.what = ""};
    const cyaml_config_t config = config_of(&said);

    if (file != NULL) {
        (void)cyaml_free(&config, &file_schema, file, 0);
    }
}
