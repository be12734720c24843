#include "programs.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

enum { WORDS_MAX = 80, FILES_MAX = 1024 };

#define SUFFIX ".prog.pid"

static bool paths(const struct cluster *c, const struct file_site *site,
                  unsigned at, char *pid, char *log)
{
    char name[MOTET_NAME_MAX + 16];

    snprintf(name, sizeof name, "%.64s.%u", site->name, at + 1);
    return path_join(pid, c->folders.run, name, SUFFIX) &&
           path_join(log, c->folders.state, name, ".prog.log");
}

static bool start(const struct cluster *c, const struct file_site *site,
                  unsigned at)
{
    const struct file_program *p = &site->start[at];
    char pid[PATH_BYTES];
    char log[PATH_BYTES];
    char *argv[WORDS_MAX];
    struct process process;
    unsigned n = 0;

    if (!paths(c, site, at, pid, log)) {
        return false;
    }
    if (process_read(pid, &process)) {
        return true;
    }
    argv[n++] = p->run;
    for (unsigned i = 0; i < p->args_count && n + 1 < WORDS_MAX; i++) {
        argv[n++] = p->args[i];
    }
    argv[n] = NULL;
    CHECK(setenv("MOTET_CLUSTER", c->name, 1) == 0 &&
          setenv("MOTET_SITE", site->name, 1) == 0);
    if (!process_start(argv, log, pid, &process)) {
        return false;
    }
    const char *slash = strrchr(p->run, '/');
    say("  ok  %-13.40s pid %-7d attached to %s", slash ? slash + 1 : p->run,
        (int)process.pid, site->name);
    return true;
}

bool programs_start(const struct cluster *c, const struct cluster_file *file)
{
    for (unsigned i = 0; i < file->sites_count; i++) {
        for (unsigned k = 0; k < file->sites[i].start_count; k++) {
            if (!start(c, &file->sites[i], k)) {
                return false;
            }
        }
    }
    return true;
}

static bool is_program(const char *name)
{
    const size_t n = strlen(name);
    const size_t suffix = strlen(SUFFIX);

    return n > suffix && strcmp(name + n - suffix, SUFFIX) == 0;
}

static void stop(const char *file, uint64_t grace_ns)
{
    struct process p;

    if (process_read(file, &p)) {
        (void)process_signal(&p, SIGCONT);
        (void)process_signal(&p, SIGTERM);
        (void)process_end(&p, grace_ns);
    }
    (void)unlink(file);
}

size_t programs_stop(const struct cluster *c, uint64_t grace_ns)
{
    char path[PATH_BYTES];
    const struct dirent *entry;
    size_t count = 0;
    DIR *dir = opendir(c->folders.run);

    while (dir != NULL && count < FILES_MAX && (entry = readdir(dir)) != NULL) {
        if (is_program(entry->d_name) &&
            path_join(path, c->folders.run, entry->d_name, NULL)) {
            stop(path, grace_ns);
            count++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}
