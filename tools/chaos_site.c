#include "chaos_site.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground.h"
#include "launch.h"
#include "network.h"
#include "say.h"

#define KILL_WAIT_NS 5000000000ULL

enum { COPY_BYTES = 4096, LINE_BYTES = 8192, RUBBISH_BYTES = 256 };

/* In the network of the sites, behind all of them: who gets in beside them. */
#define STRANGER "stranger" /* its port */
enum { STRANGER_NUMBER = 252, TWIN_NUMBER = 100, CONNECT_MS = 20 };

bool hurt_kill(struct site_files *site)
{
    const bool ran = site->running && process_look(&site->process);
    if (ran) {
        (void)process_signal(&site->process, SIGKILL);
        (void)process_wait(&site->process, KILL_WAIT_NS);
        if (site->ground->rest != NULL) {
            site->ground->rest(site);
        }
    }
    site->running = false;
    return ran;
}

bool hurt_leave(struct cluster *c, struct site_files *site, uint64_t grace_ns)
{
    return launch_stop(c, site, grace_ns);
}

uint64_t hurt_grace_ns(const struct site_files *site)
{
    return site->ground == &ground_qemu ? 8000000000 : 2000000000;
}

bool hurt_pause(struct site_files *site)
{
    return site->running && process_look(&site->process) &&
           site->ground->pause(site);
}

bool hurt_resume(struct site_files *site)
{
    return site->running && process_look(&site->process) &&
           site->ground->resume(site);
}

/* ---- state -----------------------------------------------------------------
 */

static bool state_file(const struct site_files *site, const char *name,
                       char *path)
{
    return path_join(path, site->state, name, NULL);
}

static void copy_file(const char *from, const char *to)
{
    char text[COPY_BYTES];
    FILE *in = fopen(from, "re");
    FILE *out = in == NULL ? NULL : fopen(to, "we");
    if (out != NULL) {
        (void)fwrite(text, 1, fread(text, 1, sizeof text, in), out);
        (void)fclose(out);
    }
    if (in != NULL) {
        (void)fclose(in);
    }
}

void hurt_lose_state(const struct site_files *site)
{
    char path[PATH_BYTES];
    if (state_file(site, "incarnation", path)) {
        (void)unlink(path);
    }
}

void hurt_remember(const struct site_files *site)
{
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    if (state_file(site, "incarnation", from) &&
        state_file(site, "incarnation.old", to)) {
        copy_file(from, to);
    }
}

void hurt_roll_back(const struct site_files *site)
{
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    if (state_file(site, "incarnation.old", from) &&
        state_file(site, "incarnation", to)) {
        copy_file(from, to);
    }
}

/* motetd writes a new file beside the old one, then renames it: that new one is
 * a device that has no room. */
bool hurt_fill_disk(const struct site_files *site)
{
    char path[PATH_BYTES];
    return state_file(site, "incarnation.new", path) &&
           (symlink("/dev/full", path) == 0 || errno == EEXIST);
}

void hurt_free_disk(const struct site_files *site)
{
    char path[PATH_BYTES];
    if (state_file(site, "incarnation.new", path)) {
        (void)unlink(path);
    }
}

/* Written aside and renamed: its runner watches for that. */
void hurt_clock(const struct site_files *site, int64_t off_s)
{
    char path[PATH_BYTES];
    char fresh[PATH_BYTES];
    if (site->folder == NULL ||
        !path_join(path, site->folder, site->name, ".wall") ||
        !path_join(fresh, site->folder, site->name, ".wall.new")) {
        return;
    }
    FILE *f = fopen(fresh, "we");
    if (f != NULL) {
        (void)fprintf(f, "%lld\n", (long long)off_s);
        (void)fclose(f);
        (void)rename(fresh, path);
    }
}

/* ---- others ----------------------------------------------------------------
 */

static void close_all(const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

/* The network namespace of the stranger, made at its first time. Gives the
 * answer that holds the path. */
static const char *stranger_netns(const struct cluster *c, json_t **answer)
{
    struct network n;
    size_t i;
    const json_t *port;
    if (!network_open(c, &n) || !network_ask(&n, answer, "ports")) {
        return NULL;
    }
    json_array_foreach(json_object_get(*answer, "items"), i, port)
    {
        const char *name = json_string_value(json_object_get(port, "name"));
        if (name != NULL && strcmp(name, STRANGER) == 0) {
            return json_string_value(json_object_get(port, "netns"));
        }
    }
    json_decref(*answer);
    *answer = NULL;
    return network_ask(&n, answer, "port " STRANGER " namespace 10.77.0.%d/%d",
                       STRANGER_NUMBER, NETWORK_PREFIX)
               ? json_string_value(json_object_get(*answer, "netns"))
               : NULL;
}

/* A socket of the stranger: on the network of the sites. Between machines and
 * namespaces that is one of its own, at the switch; a socket stays in the
 * network in which it was made. */
static int stranger_socket(const struct cluster *c,
                           const struct site_files *site)
{
    const int kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    json_t *answer = NULL;
    int fd = -1;
    if (!ground_is_switched(site)) {
        return socket(AF_INET, kind, 0);
    }
    const char *path = stranger_netns(c, &answer);
    const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    const int there = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (home >= 0 && there >= 0 && setns(there, CLONE_NEWNET) == 0) {
        fd = socket(AF_INET, kind, 0);
        CHECK(setns(home, CLONE_NEWNET) == 0);
    }
    close_all((int[]){home, there});
    json_decref(answer);
    return fd;
}

void hurt_stranger(const struct cluster *c, const struct site_files *site,
                   uint64_t dice)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char host[64];
    unsigned port = 0;
    uint8_t rubbish[RUBBISH_BYTES];
    struct prng p;
    if (sscanf(site->address, "%63[^:]:%u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &addr.sin_addr) != 1) {
        return;
    }
    addr.sin_port = htons((uint16_t)port);
    const int fd = stranger_socket(c, site);
    if (fd < 0) {
        return;
    }
    prng_init(&p, dice);
    for (size_t i = 0; i < sizeof rubbish; i++) {
        rubbish[i] = (uint8_t)prng_next(&p);
    }
    union {
        struct sockaddr_in *in;
        struct sockaddr *any;
    } u = {.in = &addr};
    if (connect(fd, u.any, sizeof addr) == 0 || errno == EINPROGRESS) {
        struct pollfd connected = {.fd = fd, .events = POLLOUT};
        (void)poll(&connected, 1, CONNECT_MS);
        (void)!send(fd, rubbish, sizeof rubbish, MSG_NOSIGNAL);
    }
    (void)close(fd);
}

/* The configuration of a site with another address, and without actors. */
static bool twin_conf(const struct site_files *site,
                      const struct site_files *twin)
{
    char line[LINE_BYTES];
    FILE *in = fopen(site->conf, "re");
    FILE *out = in == NULL ? NULL : fopen(twin->conf, "we");
    while (out != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "listen", 6) != 0 &&
            strncmp(line, "socket", 6) != 0 &&
            strncmp(line, "state-dir", 9) != 0 &&
            strncmp(line, "actor", 5) != 0) {
            (void)fputs(line, out);
        }
    }
    if (out != NULL) {
        (void)fprintf(out,
                      "listen = %s\nsocket = %s\n"
                      "state-dir = %s\n",
                      twin->address, twin->socket, twin->state);
        (void)fclose(out);
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    return out != NULL;
}

/* A cluster is what its .conf files say: a twin is none of them. */
static bool twin_paths(const struct cluster *c, const struct site_files *site,
                       struct site_files *files)
{
    char name[MOTET_NAME_MAX + 8];
    (void)snprintf(name, sizeof name, "%.50s.twin", site->name);
    if (!cluster_paths(c, name, files) ||
        !path_join(files->conf, c->folders.state, name, ".cfg")) {
        return false;
    }
    files->ground = site->ground;
    return true;
}

bool hurt_twin(struct cluster *c, const struct site_files *site,
               struct hurt_twin *twin)
{
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    *twin = (struct hurt_twin){0};
    if (!site->running || !twin_paths(c, site, &twin->files) ||
        (site->ground->prepare != NULL && !site->ground->prepare(c)) ||
        !folder_make(twin->files.state, 0700) ||
        !state_file(site, "incarnation", from) ||
        !state_file(&twin->files, "incarnation", to)) {
        return false;
    }
    copy_file(from, to);
    (void)snprintf(twin->files.address, sizeof twin->files.address,
                   ground_is_switched(site) ? "10.77.0.%u:%d" : "127.0.0.1:0",
                   TWIN_NUMBER + network_number(site), GROUND_PORT);
    twin->runs = twin_conf(site, &twin->files) && launch_start(c, &twin->files);
    return twin->runs;
}

void hurt_twin_end(struct cluster *c, struct hurt_twin *twin)
{
    if (twin->runs) {
        (void)launch_stop(c, &twin->files, 0);
        (void)unlink(twin->files.conf);
        folder_remove(twin->files.state);
        twin->runs = false;
    }
}

void hurt_twins_left(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct hurt_twin t = {.runs = true};
        if (twin_paths(c, &c->sites[i], &t.files) &&
            access(t.files.pid, F_OK) == 0) {
            t.files.running = process_read(t.files.pid, &t.files.process);
            hurt_twin_end(c, &t);
        }
    }
}
