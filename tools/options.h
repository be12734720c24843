#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <motet/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exits.h"

/* The words of a command line, by argp: flags may stand anywhere. */

enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_JSONL };

/* What every verb understands. Set once by options_read(). */
struct options {
    const char *cluster; /* -c, MOTET_CLUSTER, or NULL */
    const char *site;    /* -s, MOTET_SITE, or NULL */
    enum output output;
    bool quiet;
    bool help;
    uint64_t verbose;
    uint64_t timeout_ns; /* --timeout, MOTET_TIMEOUT; 0 = not given */
    char cluster_chosen[MOTET_NAME_MAX + 1]; /* "" until it is known */
};

extern struct options options;

enum flag_kind {
    FLAG_SWITCH,   /* bool */
    FLAG_TEXT,     /* const char *, of argv */
    FLAG_COUNT,    /* uint64_t */
    FLAG_DURATION, /* uint64_t, ns */
    FLAG_SIZE,     /* uint64_t, bytes */
    FLAG_RATE,     /* uint64_t, per second */
    FLAG_MORE,     /* uint64_t, one more each time */
    FLAG_OUTPUT,   /* enum output */
    FLAG_JSON,     /* enum output */
};

/* A flag of a verb; tables end with a NULL name. */
struct flag {
    const char *name; /* "deadline" */
    char letter;      /* or 0 */
    const char *arg;  /* "TIME"; NULL for switches */
    enum flag_kind kind;
    size_t at; /* offset in the verb's struct */
    const char *help;
};

struct verb {
    const char *name; /* "call", or "site list" */
    const char *args; /* for the help: "NAME [BODY]" */
    unsigned args_min;
    unsigned args_max;
    const struct flag *flags; /* or NULL */
    void *into;               /* the verb's struct, with its defaults */
    enum exit_code (*run)(char **args, unsigned count);
    const char *summary;  /* one line */
    const char *examples; /* lines, each indented by two */
    const char *exits;    /* the codes it ends with: "0 2 3" */
};

/** The index in argv of the first word that is no flag, from `from`; argc if
 * there is none. Knows which of the global flags take a value. */
int options_word(int argc, char **argv, int from);

/**
 * Reads what stands after the words of a verb. A wrong flag is told on stderr.
 *
 * @param argv   without the words of the verb; argv[0] is not looked at; is
 *               reordered
 * @param args   set to the words left, NULL at the end; in argv
 * @return EXIT_DONE or EXIT_USAGE
 */
enum exit_code options_read(const struct verb *verb, int argc, char **argv,
                            char ***args, unsigned *count);

/** The environment: before options_read(). */
enum exit_code options_environment(void);

/** The flags of a verb, or with NULL those of all, as help. */
void options_help(const struct flag *flags);

/** --timeout, or `otherwise`; nanoseconds. */
uint64_t options_timeout_ns(uint64_t otherwise_ns);

#endif
