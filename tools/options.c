#include "options.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/check.h"
#include "say.h"
#include "units.h"

enum { FLAGS_MAX = 32, KEY_BASE = 0x100 };

struct options options;

#define AT(field) offsetof(struct options, field)
static const struct flag global[] = {
    {"cluster", 'c', "NAME", FLAG_TEXT, AT(cluster), "which cluster"},
    {"site", 's', "NAME", FLAG_TEXT, AT(site), "attach to this site"},
    {"output", 'o', "FORM", FLAG_OUTPUT, AT(output),
     "table, wide, json or jsonl"},
    {"json", 0, NULL, FLAG_JSON, AT(output), "as -o json"},
    {"quiet", 'q', NULL, FLAG_SWITCH, AT(quiet), "only errors on stderr"},
    {"verbose", 'v', NULL, FLAG_MORE, AT(verbose), "more; twice: all"},
    {"timeout", 0, "TIME", FLAG_DURATION, AT(timeout_ns),
     "end with 124 after this time"},
    {"help", 'h', NULL, FLAG_SWITCH, AT(help), "examples, flags, exit codes"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

/* ---- values ----------------------------------------------------------------
 */

static const char *const forms[] = {"table", "wide", "json", "jsonl"};

static bool set_form(const char *text, enum output *to)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (strcmp(text, forms[i]) == 0) {
            *to = (enum output)i;
            return true;
        }
    }
    return false;
}

static bool set_value(const struct flag *f, void *to, const char *text)
{
    switch (f->kind) {
    case FLAG_SWITCH:
        *(bool *)to = true;
        return true;
    case FLAG_TEXT:
        *(const char **)to = text;
        return true;
    case FLAG_COUNT:
        return unit_count(text, to);
    case FLAG_DURATION:
        return unit_duration(text, to);
    case FLAG_SIZE:
        return unit_size(text, to);
    case FLAG_RATE:
        return unit_rate(text, to);
    case FLAG_MORE:
        *(uint64_t *)to += 1;
        return true;
    case FLAG_OUTPUT:
        return set_form(text, to);
    case FLAG_JSON:
        *(enum output *)to = OUTPUT_JSON;
        return true;
    default:
        return false;
    }
}

/* How a value of that kind is written. */
static const char *example(enum flag_kind kind)
{
    switch (kind) {
    case FLAG_COUNT:
        return "a number: 1000";
    case FLAG_DURATION:
        return "a time: 50ms, 2s, 1m";
    case FLAG_SIZE:
        return "a size: 64, 64KiB, 16MiB";
    case FLAG_RATE:
        return "a rate: 2000/s";
    case FLAG_OUTPUT:
        return "a form: table, wide, json, jsonl";
    case FLAG_SWITCH:
    case FLAG_TEXT:
    case FLAG_MORE:
    case FLAG_JSON:
    default:
        return "a text";
    }
}

/* ---- argp ------------------------------------------------------------------
 */

struct reading {
    const struct verb *verb;
    const struct flag *flags[FLAGS_MAX]; /* by key - KEY_BASE */
    void *into[FLAGS_MAX];
    unsigned flag_count;
    char **args;
    unsigned count;
    bool failed; /* and told */
};

static bool set_flag(const struct flag *f, void *into, const char *text)
{
    if (set_value(f, (char *)into + f->at, text)) {
        return true;
    }
    say_error("--%s: \"%.100s\" is not %s", f->name, text, example(f->kind));
    return false;
}

static error_t on_key(int key, char *text, struct argp_state *state)
{
    struct reading *r = state->input;

    if (key == ARGP_KEY_ARG) {
        r->args[r->count++] = text;
        return 0;
    }
    for (unsigned i = 0; i < r->flag_count; i++) {
        const struct flag *f = r->flags[i];
        if (key == KEY_BASE + (int)i || (f->letter != 0 && key == f->letter)) {
            r->failed = r->failed || !set_flag(f, r->into[i], text);
            return r->failed ? EINVAL : 0;
        }
    }
    return ARGP_ERR_UNKNOWN;
}

static void add_flags(struct reading *r, struct argp_option *out,
                      const struct flag *flags, void *into)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        unsigned i = r->flag_count++;
        CHECK(i < FLAGS_MAX);
        r->flags[i] = flags;
        r->into[i] = into;
        out[i] = (struct argp_option){
            .name = flags->name,
            .key = flags->letter != 0 ? flags->letter : KEY_BASE + (int)i,
            .arg = flags->arg,
        };
    }
}

/* The flag that a word of the command line is: of `bytes` letters behind "--",
 * or the one letter. As getopt does, a beginning will do if it is the only
 * one. */
static const struct flag *flag_of(const struct reading *r, const char *word,
                                  size_t bytes, bool is_long)
{
    const struct flag *found = NULL;

    for (unsigned i = 0; i < r->flag_count; i++) {
        const struct flag *f = r->flags[i];
        if (!is_long) {
            if (f->letter != 0 && f->letter == *word) {
                return f;
            }
        } else if (strncmp(f->name, word, bytes) == 0) {
            if (f->name[bytes] == '\0') {
                return f;
            }
            if (found != NULL) {
                return NULL;
            }
            found = f;
        }
    }
    return found;
}

enum fault { FAULT_NONE, FAULT_UNKNOWN, FAULT_NO_VALUE, FAULT_A_VALUE };

/* What is wrong with one word; *skip: the next one is its value. */
static enum fault fault_of(const struct reading *r, const char *word, bool last,
                           bool *skip)
{
    *skip = false;
    if (word[0] != '-' || word[1] == '\0') {
        return FAULT_NONE;
    }
    if (word[1] == '-') {
        size_t bytes = strcspn(word + 2, "=");
        const struct flag *f = flag_of(r, word + 2, bytes, true);
        bool has = word[2 + bytes] == '=';
        if (f == NULL) {
            return FAULT_UNKNOWN;
        }
        if (f->arg == NULL) {
            return has ? FAULT_A_VALUE : FAULT_NONE;
        }
        *skip = !has;
        return !has && last ? FAULT_NO_VALUE : FAULT_NONE;
    }
    for (const char *p = word + 1; *p != '\0'; p++) {
        const struct flag *f = flag_of(r, p, 1, false);
        if (f == NULL) {
            return FAULT_UNKNOWN;
        }
        if (f->arg != NULL) {
            *skip = p[1] == '\0';
            return *skip && last ? FAULT_NO_VALUE : FAULT_NONE;
        }
    }
    return FAULT_NONE;
}

static void say_near(const struct reading *r, const char *word)
{
    const char *names[FLAGS_MAX];

    for (unsigned i = 0; i < r->flag_count; i++) {
        names[i] = r->flags[i]->name;
    }
    const char *near =
        say_nearest(word + strspn(word, "-"), names, r->flag_count);
    if (near != NULL) {
        say_hint("did you mean: --%s", near);
    }
}

/* Says what is wrong with the first flag that argp did not take: argp itself
 * tells only that there is one. */
static void explain(const struct reading *r, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        bool skip;
        switch (fault_of(r, word, i + 1 == argc, &skip)) {
        case FAULT_UNKNOWN:
            say_error("no flag %.100s", word);
            say_near(r, word);
            break;
        case FAULT_NO_VALUE:
            say_error("%.100s needs a value", word);
            break;
        case FAULT_A_VALUE:
            say_error("%.100s takes no value", word);
            break;
        case FAULT_NONE:
        default:
            i += skip ? 1 : 0;
            continue;
        }
        say_hint("see: motet %s --help", r->verb->name);
        return;
    }
    say_error("a flag is wrong");
    say_hint("see: motet %s --help", r->verb->name);
}

static enum exit_code check_count(const struct verb *verb, char **args,
                                  unsigned count)
{
    if (options.help) {
        return EXIT_DONE;
    }
    if (count > verb->args_max) {
        say_error("one word too many: \"%.100s\"", args[verb->args_max]);
    } else if (count < verb->args_min) {
        say_error("a word is missing");
    } else {
        return EXIT_DONE;
    }
    say_hint("usage: motet %s %s", verb->name, verb->args);
    return EXIT_USAGE;
}

enum exit_code options_read(const struct verb *verb, int argc, char **argv,
                            char ***args, unsigned *count)
{
    struct reading r = {.verb = verb};
    struct argp_option out[FLAGS_MAX + 1] = {{0}};

    r.args = calloc((size_t)argc + 1, sizeof *r.args);
    CHECK(r.args != NULL);
    say_about(verb->name, NULL);
    add_flags(&r, out, global, &options);
    add_flags(&r, out, verb->flags, verb->into);
    const struct argp argp = {.options = out, .parser = on_key};
    error_t failed =
        argp_parse(&argp, argc, argv,
                   ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &r);
    *args = r.args;
    *count = r.count;
    if (failed != 0) {
        if (!r.failed) {
            explain(&r, argc, argv);
        }
        return EXIT_USAGE;
    }
    say_quiet(options.quiet);
    enum exit_code code = check_count(verb, r.args, r.count);
    say_about(verb->name, r.count > 0 ? r.args[0] : NULL);
    return code;
}

/* ---- before the verb is known ----------------------------------------------
 */

static bool takes_next(const char *word)
{
    bool is_long = strncmp(word, "--", 2) == 0;

    for (const struct flag *f = global; f->name != NULL; f++) {
        if (f->arg == NULL) {
            continue;
        }
        if (is_long
                ? strcmp(word + 2, f->name) == 0
                : f->letter != 0 && word[1] == f->letter && word[2] == '\0') {
            return true;
        }
    }
    return false;
}

int options_word(int argc, char **argv, int from)
{
    for (int i = from; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            return i;
        }
        if (takes_next(argv[i])) {
            i++;
        }
    }
    return argc;
}

enum exit_code options_environment(void)
{
    const char *timeout = getenv("MOTET_TIMEOUT");

    options.cluster = getenv("MOTET_CLUSTER");
    options.site = getenv("MOTET_SITE");
    if (timeout != NULL && !unit_duration(timeout, &options.timeout_ns)) {
        return say_fail(EXIT_USAGE, "MOTET_TIMEOUT: \"%.100s\" is not %s",
                        timeout, example(FLAG_DURATION));
    }
    return EXIT_DONE;
}

void options_help(const struct flag *flags)
{
    for (flags = flags == NULL ? global : flags; flags->name != NULL; flags++) {
        char text[64];
        snprintf(text, sizeof text, "--%s%s%s", flags->name,
                 flags->arg == NULL ? "" : " ",
                 flags->arg == NULL ? "" : flags->arg);
        printf(flags->letter != 0 ? "  -%c, %-18s %s\n" : "  %c   %-18s %s\n",
               flags->letter != 0 ? flags->letter : ' ', text, flags->help);
    }
}

uint64_t options_timeout_ns(uint64_t otherwise_ns)
{
    return options.timeout_ns > 0 ? options.timeout_ns : otherwise_ns;
}
