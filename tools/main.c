#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "deploy/sim/cmd.h"
#include "nucleus/base/check.h"
#include "say.h"
#include "table.h"
#include "verbs.h"

/* motet: finds the verb, reads its words, runs it. */

static const struct verb verb_help;

static const struct {
    const char *title;
    const struct verb *verbs[12];
} groups[] = {
    {"a cluster", {&verb_up, &verb_down, &verb_status, &verb_why}},
    {"messages",
     {&verb_call, &verb_send, &verb_receive, &verb_watch, &verb_ping}},
    {"sites",
     {&verb_site_list, &verb_site_kill, &verb_site_pause, &verb_site_resume,
      &verb_site_reset, &verb_site_restart, &verb_site_snapshot,
      &verb_site_restore, &verb_site_add, &verb_site_drain, &verb_site_logs}},
    {"ports, groups, links",
     {&verb_port_list, &verb_port_info, &verb_port_migrate, &verb_actor_migrate,
      &verb_group_list, &verb_group_info, &verb_link_list, &verb_link_stats}},
    {"breaking links",
     {&verb_link_set, &verb_link_cut, &verb_link_heal, &verb_link_faults,
      &verb_link_capture}},
    {"measuring",
     {&verb_bench_call, &verb_bench_send, &verb_bench_fanin, &verb_bench_fanout,
      &verb_bench_local, &verb_bench_ports, &verb_bench_start,
      &verb_bench_migrate, &verb_bench_compare}},
    {"breaking it on purpose",
     {&verb_chaos_run, &verb_chaos_list, &verb_chaos_faults, &verb_chaos_check,
      &verb_chaos_add, &verb_chaos_active, &verb_chaos_clear}},
    {"other", {&verb_doctor, &verb_version, &verb_help}},
};

static const char sim_words[] = "sim run | replay | shrink | crashpoints";
static const char sim_summary[] = "the same code in a simulated world";

enum { VERBS_MAX = 64 };

static size_t all_verbs(const struct verb *out[VERBS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        for (size_t j = 0; j < ARRAY_LEN(groups[i].verbs); j++) {
            if (groups[i].verbs[j] != NULL) {
                CHECK(n < VERBS_MAX);
                out[n++] = groups[i].verbs[j];
            }
        }
    }
    return n;
}

/* ---- help ------------------------------------------------------------------
 */

static void print_overview(void)
{
    printf(
        "motet   send a message to a name; it arrives wherever that name "
        "lives now\n\n"
        "  motet up 3                           three sites, mutual TLS\n"
        "  motet call echo hello                ask, and print the answer\n"
        "  motet receive greet --exec 'tr a-z A-Z'   a command is a service\n"
        "  motet status                         who is alive, since when\n"
        "  motet down                           stop it\n");
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        printf("\n%s\n", groups[i].title);
        for (size_t j = 0; j < ARRAY_LEN(groups[i].verbs); j++) {
            const struct verb *v = groups[i].verbs[j];
            if (v != NULL) {
                char words[64];
                snprintf(words, sizeof words, "%s %s", v->name, v->args);
                printf("  %-28s %s\n", words, v->summary);
            }
        }
        if (groups[i].verbs[0] == &verb_chaos_run) {
            printf("  %-28s %s\n", sim_words, sim_summary);
        }
    }
    printf("\neverywhere\n");
    options_help(NULL);
    printf("\nmotet help VERB for examples; motet help exits for exit codes\n");
}

static void print_exits(const char *codes)
{
    const struct exit_line *line;

    for (size_t i = 0; (line = exit_line(i)) != NULL; i++) {
        char code[8];
        char padded[128];
        snprintf(code, sizeof code, " %d ", (int)line->code);
        snprintf(padded, sizeof padded, " %s ", codes);
        if (strstr(padded, code) != NULL) {
            printf("  %3d  %s\n", (int)line->code, line->meaning);
        }
    }
}

static void print_help(const struct verb *v)
{
    printf("%s\nusage: motet %s %s\n  %s\n", v->examples, v->name, v->args,
           v->summary);
    if (v->flags != NULL) {
        printf("\n");
        options_help(v->flags);
    }
    printf("  and those of all verbs: motet help\n\nends with\n");
    print_exits(v->exits);
}

struct exit_row {
    uint64_t code;
    const char *name;
    const char *meaning;
    const char *todo;
};

static enum exit_code help_exits(void)
{
    static const struct column columns[] = {
        COLUMN(struct exit_row, "CODE", "code", CELL_NUMBER, SHOW_ALWAYS, code),
        COLUMN(struct exit_row, "NAME", "name", CELL_TEXT, SHOW_JSON, name),
        COLUMN(struct exit_row, "MEANING", "meaning", CELL_TEXT, SHOW_ALWAYS,
               meaning),
        COLUMN(struct exit_row, "A SCRIPT SHOULD", "todo", CELL_TEXT,
               SHOW_ALWAYS, todo),
    };
    struct exit_row rows[32];
    const struct exit_line *line;
    size_t n = 0;

    for (; (line = exit_line(n)) != NULL; n++) {
        CHECK(n < ARRAY_LEN(rows));
        rows[n] = (struct exit_row){(uint64_t)line->code, line->name,
                                    line->meaning, line->todo};
    }
    const struct table t = {.schema = "motet.help.exits/1",
                            .columns = columns,
                            .column_count = ARRAY_LEN(columns),
                            .rows = rows,
                            .row_bytes = sizeof rows[0],
                            .row_count = n,
                            .none = ""};
    return table_print(&t) ? EXIT_DONE : EXIT_FAILED;
}

/* A word of the help: the verb, or the first of those that begin with it. */
static const struct verb *find_verb(const char *first, const char *second)
{
    const struct verb *verbs[VERBS_MAX];
    size_t n = all_verbs(verbs);
    char name[128];

    for (size_t i = 0; i < n; i++) {
        if (strcmp(verbs[i]->name, first) == 0) {
            return verbs[i];
        }
    }
    snprintf(name, sizeof name, "%.60s %.60s", first,
             second == NULL ? "" : second);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(verbs[i]->name, name) == 0) {
            return verbs[i];
        }
    }
    return NULL;
}

static enum exit_code unknown_verb(const char *first, const char *second);

static enum exit_code help_run(char **args, unsigned count)
{
    if (count == 0) {
        print_overview();
        return EXIT_DONE;
    }
    if (strcmp(args[0], "exits") == 0) {
        return help_exits();
    }
    const struct verb *v = find_verb(args[0], count > 1 ? args[1] : NULL);
    if (v == NULL) {
        return unknown_verb(args[0], count > 1 ? args[1] : NULL);
    }
    print_help(v);
    return EXIT_DONE;
}

static const struct verb verb_help = {
    .name = "help",
    .args = "[VERB|exits]",
    .args_max = 2,
    .run = help_run,
    .summary = "this, a verb's examples, or the exit codes",
    .examples = "  motet help call\n  motet help exits --json\n",
    .exits = "0 2",
};

/* ---- the verb --------------------------------------------------------------
 */

static bool is_noun(const char *word)
{
    const struct verb *verbs[VERBS_MAX];
    size_t n = all_verbs(verbs);
    size_t bytes = strlen(word);

    for (size_t i = 0; i < n; i++) {
        if (strncmp(verbs[i]->name, word, bytes) == 0 &&
            verbs[i]->name[bytes] == ' ') {
            return true;
        }
    }
    return false;
}

static enum exit_code unknown_verb(const char *first, const char *second)
{
    const struct verb *verbs[VERBS_MAX];
    const char *names[VERBS_MAX];
    size_t n = all_verbs(verbs);
    char word[128];

    snprintf(word, sizeof word, "%.60s%s%.60s", first,
             second == NULL ? "" : " ", second == NULL ? "" : second);
    for (size_t i = 0; i < n; i++) {
        names[i] = verbs[i]->name;
    }
    say_about(NULL, NULL);
    say_error(second == NULL && is_noun(first) ? "%s: a word is missing"
                                               : "no command \"%s\"",
              word);
    const char *near = say_nearest(word, names, n);
    if (near != NULL) {
        say_hint("did you mean: motet %s", near);
    }
    say_hint("list them: motet help");
    return EXIT_USAGE;
}

static void on_alarm(int signal)
{
    static const char text[] = "motet: no end before --timeout\n"
                               "  give it more time, or see: motet status\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)signal;
    (void)n;
    _exit(EXIT_TIMED_OUT);
}

/* up has to undo what it did, so it looks at the time by itself. */
static void start_clock(const struct verb *v)
{
    uint64_t us = options.timeout_ns / 1000;
    struct itimerval t = {.it_value = {.tv_sec = (time_t)(us / 1000000),
                                       .tv_usec = (suseconds_t)(us % 1000000)}};
    struct sigaction a = {.sa_handler = on_alarm};

    if (us > 0 && v != &verb_up) {
        CHECK(sigaction(SIGALRM, &a, NULL) == 0);
        CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
    }
}

static enum exit_code run(const struct verb *v, int argc, char **argv)
{
    char **args;
    unsigned count;
    enum exit_code code = options_read(v, argc, argv, &args, &count);

    if (code == EXIT_DONE && options.help && v != &verb_help) {
        print_help(v);
    } else if (code == EXIT_DONE) {
        start_clock(v);
        code = v->run(args, count);
    }
    free(args);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        code = say_fail(EXIT_FAILED, "cannot write: %s", strerror(errno));
    }
    return code;
}

static void drop_word(int *argc, char **argv, int at)
{
    for (int i = at; i < *argc; i++) {
        argv[i] = argv[i + 1]; /* with the NULL */
    }
    (*argc)--;
}

static enum exit_code dispatch(int argc, char **argv)
{
    enum exit_code code = options_environment();
    int first = options_word(argc, argv, 1);

    if (code != EXIT_DONE) {
        return code;
    }
    if (first == argc) {
        return run(&verb_help, argc, argv);
    }
    if (strcmp(argv[first], "sim") == 0) {
        static char name[] = "motet sim";
        argv[first] = name;
        return (enum exit_code)sim_command(argc - first, argv + first);
    }
    int second = options_word(argc, argv, first + 1);
    const char *noun =
        is_noun(argv[first]) && second < argc ? argv[second] : NULL;
    const struct verb *v = find_verb(argv[first], noun);
    if (v == NULL) {
        return unknown_verb(argv[first], noun);
    }
    if (strchr(v->name, ' ') != NULL) {
        drop_word(&argc, argv, second);
    }
    drop_word(&argc, argv, first);
    return run(v, argc, argv);
}

int main(int argc, char **argv)
{
    if (setlocale(LC_CTYPE, "") == NULL) {
        (void)setlocale(LC_CTYPE, "C");
    }
    return (int)dispatch(argc, argv);
}
