#ifndef TOOLS_CLUSTERFILE_H
#define TOOLS_CLUSTERFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "exits.h"

/* A cluster, written down (YAML):
 *
 *   name: demo                  of the cluster
 *   ground: host                of sites that say none: host, netns, qemu
 *   memory: 192MiB              of machines that say none
 *   sites:
 *     - name: site1
 *     - name: site2
 *       ground: qemu
 *       memory: 256MiB
 *       actors: [echo, counter]  instead of echo and bench
 *       start:                   programs, attached to this site
 *         - run: ./server        beside this file, or in PATH
 *           args: [--verbose]
 *   links:                      only what differs from perfect
 *     - between: [site1, site2]  both ways; or from: and to:
 *       faults: delay=5ms loss=1%
 *       transport: udp           of small messages; both ways
 *
 * What is wrong in it is told in one line with file and line number. */

struct file_program {
    char *run;
    char **args;
    unsigned args_count;
};

struct file_site {
    char *name;
    char *ground; /* never NULL once read */
    char *memory;
    char **actors;
    unsigned actors_count;
    struct file_program *start;
    unsigned start_count;
    unsigned memory_mib; /* 0: as usual */
};

struct file_link {
    char **between; /* two, or none */
    unsigned between_count;
    char *from;
    char *to;
    char *faults; /* these two: one of them at least */
    char *transport;
};

struct cluster_file {
    char *name; /* may be NULL */
    char *ground;
    char *memory;
    struct file_site *sites;
    unsigned sites_count;
    struct file_link *links;
    unsigned links_count;
};

/** Reads and checks. Gives: clusterfile_free().
 * @return EXIT_DONE; EXIT_USAGE, and it is told */
enum exit_code clusterfile_read(const char *path, struct cluster_file **file);

void clusterfile_free(struct cluster_file *file);

#endif
