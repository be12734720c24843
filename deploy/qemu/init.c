#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "carrier.h"
#include "guest.h"
#include "store.h"

/* motet-init: the first and only other process of a guest beside motetd. Asks
 * the host for the files of the site, runs it, carries connections of programs
 * to it, and ends the machine when it ends. Static, no shell, no disk. */

enum {
    PORT_MS = 10000,
    LOOK_MS = 20, /* between looks whether the site listens */
    LAST_WORDS_MS = 2000,
    SIGNAL_CODE = 0x40, /* + the signal, in the exit status of QEMU */
};

static struct guest {
    struct carrier *carrier;
    pid_t site;
    bool ready;
    bool over;
    int status;  /* of the site, as of wait() */
    int changes; /* inotify */
    int log;
    char conf[4096];
    char state[4096];
    char socket[4096];
    char folder[4096]; /* of the run, or "" */
    char name[256];
    char boot[32];
    char full[8];
} guest = {.changes = -1, .log = -1};

/* ---- the site --------------------------------------------------------------
 */

static _Noreturn void become(void)
{
    char name[] = GUEST_MOTETD;
    char flag[] = "--config";
    char *argv[] = {name, flag, guest.conf, NULL};
    char home[] = "HOME=/tmp";
    char *environment[] = {home, NULL};
    sigset_t none;

    (void)setsid();
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (guest.log >= 0) {
        (void)dup2(guest.log, STDOUT_FILENO);
        (void)dup2(guest.log, STDERR_FILENO);
    }
    (void)execve(name, argv, environment);
    perror(name);
    _exit(127);
}

static void take_key(const char *key, const char *value)
{
    const struct {
        const char *key;
        char *to;
        size_t room;
    } texts[] = {{GUEST_KEY_CONF, guest.conf, sizeof guest.conf},
                 {GUEST_KEY_STATE, guest.state, sizeof guest.state},
                 {GUEST_KEY_SOCKET, guest.socket, sizeof guest.socket},
                 {GUEST_KEY_FOLDER, guest.folder, sizeof guest.folder},
                 {GUEST_KEY_NAME, guest.name, sizeof guest.name},
                 {GUEST_KEY_BOOT, guest.boot, sizeof guest.boot},
                 {GUEST_KEY_FULL, guest.full, sizeof guest.full}};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strcmp(key, texts[i].key) == 0) {
            snprintf(texts[i].to, texts[i].room, "%s", value);
        }
    }
    if (strcmp(key, GUEST_KEY_ADDRESS) == 0 && !boot_network(value)) {
        boot_leave(GUEST_LOST_CODE);
    } else if (strcmp(key, GUEST_KEY_WALL) == 0) {
        boot_clock(strtoull(value, NULL, 10));
    } else if (strcmp(key, GUEST_KEY_CHANCE) == 0) {
        boot_chance(value);
    }
}

/* What the load of a run sees leaves the machine with the write that says it:
 * its log is a port. */
static void begin_run(void)
{
    char port[BOOT_PATH_MAX];
    char log[sizeof guest.folder + sizeof guest.name + 16];
    char line[64];

    store_folders(guest.folder);
    snprintf(log, sizeof log, "%s/%s.events", guest.folder, guest.name);
    const int size = snprintf(line, sizeof line, "\nboot %s\n", guest.boot);
    int fd = boot_port(GUEST_PORT_EVENTS, port, PORT_MS) &&
                     (symlink(port, log) == 0 || errno == EEXIST)
                 ? open(port, O_WRONLY | O_CLOEXEC)
                 : -1;
    if (fd < 0 || !store_bytes(fd, line, (size_t)size)) {
        printf("motet: no port for events: %s\n", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* As a disk without room: what the site writes there goes nowhere. */
static void fill_state(void)
{
    char path[sizeof guest.state + 32];

    snprintf(path, sizeof path, "%s/incarnation.new", guest.state);
    if (strcmp(guest.full, "yes") == 0 && symlink("/dev/full", path) != 0) {
        printf("motet: %s: %s\n", path, strerror(errno));
    }
}

static void on_start(const struct link_frame *f)
{
    char text[LINK_PAYLOAD_MAX + 1];
    char *rest = text;

    if (guest.site > 0) {
        return;
    }
    memcpy(text, f->payload, f->size);
    text[f->size] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strstr(line, " = ");
        if (value != NULL) {
            *value = '\0';
            take_key(line, value + 3);
        }
    }
    store_folders(guest.state);
    store_folders_of(
        guest.socket); /* the site would make them for root alone */
    fill_state();
    if (guest.folder[0] != '\0') {
        begin_run();
    }
    guest.changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    (void)inotify_add_watch(guest.changes, guest.state, IN_MOVED_TO);
    guest.site = fork();
    if (guest.site == 0) {
        become();
    }
    printf("motet: site started, pid %d\n", (int)guest.site);
}

/* ---- the host --------------------------------------------------------------
 */

static void tell_clock(const struct link_frame *f)
{
    uint8_t numbers[16];
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    link_put_u64s(numbers, link_u64(f, 0),
                  (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
    carrier_send(guest.carrier, LINK_CLOCK, numbers, sizeof numbers);
}

static void on_frame(void *ctx, const struct link_frame *f)
{
    struct link_file file;
    (void)ctx;

    if (f->op == LINK_FILE && link_file_parse(f, &file)) {
        if (!store_file(file.path, file.mode, file.bytes, file.size)) {
            printf("motet: cannot write %s: %s\n", file.path, strerror(errno));
        }
    } else if (f->op == LINK_START) {
        on_start(f);
    } else if (f->op == LINK_SIGNAL && guest.site > 0) {
        (void)kill(guest.site, (int)link_u32(f, 0));
    } else if (f->op == LINK_CLOCK) {
        tell_clock(f);
    } else if (f->op == LINK_WALL) {
        boot_clock(link_u64(f, 0));
    }
}

/* The socket shows who connects as the kernel sees it, so a program on the host
 * has to look here as it does there. */
static int open_site(void *ctx, uint32_t uid, uint32_t gid)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    union {
        struct sockaddr_un *un;
        struct sockaddr *any;
    } u = {.un = &addr};
    (void)ctx;

    snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", guest.socket);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    bool ok = setegid(gid) == 0 && seteuid(uid) == 0 &&
              connect(fd, u.any, sizeof addr) == 0;
    if (seteuid(0) != 0 || setegid(0) != 0 || !ok) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The machine goes on from a snapshot; there is another host now. */
static void on_anew(void *ctx)
{
    (void)ctx;
    printf("motet: another host\n");
    carrier_call(guest.carrier);
    carrier_send(guest.carrier, LINK_HELLO, NULL, 0);
    guest.ready = false;
}

static void look_ready(void)
{
    int fd = open_site(NULL, 0, 0);

    if (fd >= 0) {
        close(fd);
        guest.ready = true;
        carrier_send(guest.carrier, LINK_READY, NULL, 0);
    }
}

/* What the site must remember, the host keeps for it. */
static void on_changes(void)
{
    char events[4096];
    char path[4096 + 16];

    while (read(guest.changes, events, sizeof events) > 0) {
    }
    snprintf(path, sizeof path, "%s/incarnation", guest.state);
    if (!carrier_file(guest.carrier, path)) {
        printf("motet: cannot send %s\n", path);
    }
}

static void reap(int signals)
{
    struct signalfd_siginfo info;
    pid_t pid;
    int status;

    while (read(signals, &info, sizeof info) > 0) {
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == guest.site) {
            guest.over = true;
            guest.status = status;
        }
    }
}

/* What the site has left in the folder of the run: states of actors. */
static void send_left(void)
{
    char path[sizeof guest.folder + 256];
    const size_t size = strlen(guest.name);
    const struct dirent *entry;
    struct stat st;
    DIR *dir = guest.folder[0] == '\0' ? NULL : opendir(guest.folder);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof path, "%s/%.255s", guest.folder, entry->d_name);
        if (strncmp(entry->d_name, guest.name, size) == 0 &&
            entry->d_name[size] == '.' && lstat(path, &st) == 0 &&
            S_ISREG(st.st_mode) && !carrier_file(guest.carrier, path)) {
            printf("motet: cannot send %s\n", path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

/* The port must be seen to have taken the last words: so wait for it. */
static _Noreturn void end(int link)
{
    uint8_t number[4];
    const uint32_t status = (uint32_t)guest.status;
    const bool exited = WIFEXITED(guest.status);
    const int code = exited ? WEXITSTATUS(guest.status)
                            : SIGNAL_CODE | WTERMSIG(guest.status);

    for (size_t i = 0; i < sizeof number; i++) {
        number[i] = (uint8_t)(status >> (8 * i));
    }
    printf("motet: site ended, %s %d\n", exited ? "code" : "signal",
           exited ? WEXITSTATUS(guest.status) : WTERMSIG(guest.status));
    send_left();
    carrier_flush(guest.carrier, LAST_WORDS_MS);
    carrier_send(guest.carrier, LINK_EXIT, number, sizeof number);
    (void)fcntl(link, F_SETFL, 0);
    carrier_flush(guest.carrier, LAST_WORDS_MS);
    boot_leave(code);
}

static void run(int link)
{
    static struct pollfd fds[CARRIER_FDS + 2];
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    carrier_send(guest.carrier, LINK_HELLO, NULL, 0);
    for (;;) {
        size_t n = carrier_fds(guest.carrier, fds);
        fds[n] = (struct pollfd){.fd = signals, .events = POLLIN};
        fds[n + 1] = (struct pollfd){.fd = guest.changes, .events = POLLIN};
        (void)poll(fds, (nfds_t)n + 2,
                   guest.site > 0 && !guest.ready ? LOOK_MS : -1);
        if (fds[n].revents != 0) {
            reap(signals);
        }
        if (fds[n + 1].revents != 0) {
            on_changes();
        }
        if (guest.site > 0 && !guest.ready && !guest.over) {
            look_ready();
        }
        if (!carrier_work(guest.carrier, fds, n)) {
            printf("motet: the link to the host is broken\n");
            boot_leave(GUEST_LOST_CODE);
        }
        if (guest.over) {
            end(link);
        }
    }
}

int main(int argc, char **argv)
{
    const struct carrier_hooks hooks = {
        .open = open_site, .frame = on_frame, .anew = on_anew};
    char path[BOOT_PATH_MAX];

    if (getpid() != 1) {
        return argc > 1 && strcmp(argv[1], "core") == 0 ? boot_core() : 2;
    }
    boot_mounts();
    printf("motet: guest is up\n");
    if (boot_word(GUEST_WORD_PROBE)) {
        boot_leave(GUEST_PROBE_CODE);
    }
    boot_modules(GUEST_MODULES);
    boot_cores("/init");
    if (boot_port(GUEST_PORT_LOG, path, PORT_MS)) {
        guest.log = open(path, O_WRONLY | O_CLOEXEC);
    }
    int link = boot_port(GUEST_PORT_LINK, path, PORT_MS)
                   ? open(path, O_RDWR | O_CLOEXEC)
                   : -1;
    if (link < 0) {
        printf("motet: no port to the host\n");
        boot_leave(GUEST_LOST_CODE);
    }
    guest.carrier = carrier_create(link, &hooks);
    run(link);
}
