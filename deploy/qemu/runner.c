#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "carrier.h"
#include "guest.h"
#include "judged.h"
#include "machine.h"
#include "store.h"

/* motet-guest: one site in a virtual machine, as a process of the host. Starts
 * QEMU, gives the guest its files, listens in place of the site's socket and
 * carries what programs say to it. Ends when QEMU ends, with the exit status of
 * the site; QEMU ends when it is killed.
 *
 *   SIGTERM, SIGINT   go to the site; while it is not up, QEMU is killed
 *   SIGHUP            likewise, after the certificates are sent again
 *   SIGQUIT, SIGABRT, SIGUSR1, SIGUSR2   likewise */

enum {
    EXIT_USAGE = 2,
    EXIT_FAILED = 1,
    CHANCE_BYTES = 32,
    BACKLOG = 64,
    LAST_WORDS = 1000, /* reads of the link after the end of QEMU */
};

static struct runner {
    struct machine machine;
    const char *conf;
    const char *address;
    const char *folder; /* of a run that is judged */
    struct judged judged;
    char state[4096];
    char socket[4096];
    char files[3][4096]; /* ca, cert, key */
    struct carrier *carrier;
    pid_t qemu;
    int events; /* QMP */
    int listener;
    bool up;     /* the site takes attachments */
    bool exited; /* the site has ended; status is its */
    int status;
} runner = {.machine = {.accel = "tcg", .memory_mib = 192},
            .listener = -1,
            .events = -1};

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    struct timespec t;
    struct tm tm;
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)localtime_r(&t.tv_sec, &tm);
    fprintf(stderr, "%02d:%02d:%02d.%03ld guest %s\n", tm.tm_hour, tm.tm_min,
            tm.tm_sec, t.tv_nsec / 1000000, text);
}

/* ---- what the site is told -------------------------------------------------
 */

static bool read_conf(struct runner *r)
{
    const struct {
        const char *key;
        char *to;
    } keys[] = {{"state-dir", r->state},
                {"socket", r->socket},
                {"ca", r->files[0]},
                {"cert", r->files[1]},
                {"key", r->files[2]}};
    char line[8192];
    FILE *f = fopen(r->conf, "re");

    if (f == NULL) {
        note("cannot read %s: %s", r->conf, strerror(errno));
        return false;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strstr(line, " = ");
        if (value == NULL || line[0] == '#') {
            continue;
        }
        *value = '\0';
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            if (strcmp(line, keys[i].key) == 0) {
                snprintf(keys[i].to, sizeof r->state, "%s", value + 3);
            }
        }
    }
    fclose(f);
    if (r->socket[0] == '\0' || r->state[0] == '\0') {
        note("%s: no socket or no state-dir", r->conf);
        return false;
    }
    return true;
}

static void send_files(const struct runner *r)
{
    char path[4096 + 16];

    snprintf(path, sizeof path, "%s/incarnation", r->state);
    if (access(path, F_OK) == 0 && !carrier_file(r->carrier, path)) {
        note("cannot send %s", path);
    }
    for (size_t i = 0; i < ARRAY_LEN(r->files); i++) {
        if (r->files[i][0] != '\0' && !carrier_file(r->carrier, r->files[i])) {
            note("cannot send %s", r->files[i]);
        }
    }
    if (!carrier_file(r->carrier, r->conf)) {
        note("cannot send %s", r->conf);
    }
}

/* Somebody has made its disk full (motet chaos add disk-full). */
static bool is_full(const struct runner *r)
{
    char path[4096 + 32];
    char to[16] = "";

    snprintf(path, sizeof path, "%s/incarnation.new", r->state);
    return readlink(path, to, sizeof to - 1) > 0 &&
           strcmp(to, "/dev/full") == 0;
}

static void send_start(struct runner *r)
{
    unsigned char chance[CHANCE_BYTES];
    char hex[2 * CHANCE_BYTES + 1] = "";
    char text[5 * 4096];
    struct timespec t;

    if (getrandom(chance, sizeof chance, 0) == sizeof chance) {
        for (size_t i = 0; i < sizeof chance; i++) {
            snprintf(hex + 2 * i, 3, "%02x", chance[i]);
        }
    }
    (void)clock_gettime(CLOCK_REALTIME, &t);
    int n =
        snprintf(text, sizeof text,
                 GUEST_KEY_WALL
                 " = %" PRIu64 "\n" GUEST_KEY_CHANCE " = %s\n" GUEST_KEY_ADDRESS
                 " = %s\n" GUEST_KEY_CONF " = %s\n" GUEST_KEY_STATE
                 " = %s\n" GUEST_KEY_SOCKET " = %s\n" GUEST_KEY_FULL " = %s\n",
                 (uint64_t)(t.tv_sec * 1000000000 + t.tv_nsec +
                            judged_wall_ns(&r->judged)),
                 hex, r->address, r->conf, r->state, r->socket,
                 is_full(r) ? "yes" : "no");
    carrier_send(r->carrier, LINK_START, text,
                 judged_start(&r->judged, text, (size_t)n, sizeof text));
}

/* ---- programs that attach --------------------------------------------------
 */

/* As the site does it itself on the host: for its owner and root alone. */
static void start_listening(struct runner *r)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    union {
        struct sockaddr_un *un;
        struct sockaddr *any;
    } u = {.un = &addr};

    snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", r->socket);
    (void)unlink(r->socket);
    r->listener =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)umask(0177);
    bool ok = r->listener >= 0 && bind(r->listener, u.any, sizeof addr) == 0 &&
              listen(r->listener, BACKLOG) == 0;
    (void)umask(022);
    if (!ok) {
        note("cannot listen on %s: %s", r->socket, strerror(errno));
    }
    r->up = ok;
}

static void stop_listening(struct runner *r)
{
    if (r->listener >= 0) {
        close(r->listener);
        (void)unlink(r->socket);
        r->listener = -1;
    }
    r->up = false;
}

static void take_program(struct runner *r)
{
    struct ucred who;
    socklen_t size = sizeof who;
    int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        close(fd);
        return;
    }
    carrier_open(r->carrier, fd, who.uid, who.gid);
}

static bool tell_qemu(const struct runner *r, const char *line)
{
    return r->events >= 0 &&
           send(r->events, line, strlen(line), MSG_NOSIGNAL) > 0;
}

/* ---- what the guest says ---------------------------------------------------
 */

/* What a guest may write: what the site must remember, and what it leaves in
 * the folder of a run. */
static void keep(const struct runner *r, const struct link_frame *f)
{
    struct link_file file;
    char path[4096 + 16];
    char fresh[4096 + 32];

    snprintf(path, sizeof path, "%s/incarnation", r->state);
    const bool whole = link_file_parse(f, &file);
    if (whole && judged_takes(&r->judged, file.path)) {
        snprintf(path, sizeof path, "%s", file.path);
    } else if (!whole || strcmp(file.path, path) != 0) {
        note("the guest sent a file that is not its own");
        return;
    }
    snprintf(fresh, sizeof fresh, "%s.guest", path);
    if (!store_file(fresh, 0600, file.bytes, file.size) ||
        rename(fresh, path) != 0) {
        note("cannot write %s: %s", path, strerror(errno));
    }
}

static void on_exit_of_site(struct runner *r, const struct link_frame *f)
{
    r->exited = true;
    r->status = (int)link_u32(f, 0);
    if (WIFSIGNALED(r->status)) {
        note("the site ended by signal %d%s%s", WTERMSIG(r->status),
             WCOREDUMP(r->status) ? ", core in " : "",
             WCOREDUMP(r->status) ? r->machine.core : "");
    } else if (WEXITSTATUS(r->status) != 0) {
        note("the site ended with status %d", WEXITSTATUS(r->status));
    }
}

static void on_frame(void *ctx, const struct link_frame *f)
{
    struct runner *r = ctx;

    if (f->op == LINK_HELLO) {
        /* A reset may have been asked for; from here it is the end again. */
        if (!tell_qemu(r, "{\"execute\":\"set-action\",\"arguments\":"
                          "{\"reboot\":\"shutdown\"}}\n")) {
            note("QEMU does not listen");
        }
        carrier_drop(r->carrier);
        send_files(r);
        send_start(r);
    } else if (f->op == LINK_READY && r->listener < 0) {
        start_listening(r);
    } else if (f->op == LINK_FILE) {
        keep(r, f);
    } else if (f->op == LINK_EXIT) {
        on_exit_of_site(r, f);
    } else if (f->op == LINK_CLOCK) {
        judged_clock(&r->judged, f);
    }
}

/* ---- QEMU ------------------------------------------------------------------
 */

static _Noreturn void become(const struct machine_args *a, pid_t parent)
{
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_FAILED); /* it died before we said so */
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execvp(a->argv[0], a->argv);
    perror(a->argv[0]);
    _exit(127);
}

/* The machine has been told that it has another host, and has answered. */
static void on_anew(void *ctx)
{
    const struct runner *r = ctx;

    note("the machine goes on from %s", r->machine.incoming);
}

static bool start_qemu(struct runner *r)
{
    const struct carrier_hooks hooks = {
        .ctx = r,
        .frame = on_frame,
        .anew = r->machine.incoming != NULL ? on_anew : NULL};
    static struct machine_args args;
    int link[2];
    int events[2];
    const pid_t self = getpid();

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, link) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, events) != 0) {
        note("no sockets: %s", strerror(errno));
        return false;
    }
    (void)fcntl(link[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(events[0], F_SETFD, FD_CLOEXEC);
    r->machine.link_fd = link[1];
    r->machine.events_fd = events[1];
    if (!machine_args(&r->machine, &args)) {
        note("the command line of QEMU is too long");
        return false;
    }
    (void)unlink(r->machine.net_local);
    (void)unlink(r->machine.qmp);
    (void)fflush(NULL);
    r->qemu = fork();
    if (r->qemu == 0) {
        become(&args, self);
    }
    close(link[1]);
    close(events[1]);
    r->events = events[0];
    r->carrier = carrier_create(link[0], &hooks);
    r->judged.carrier = r->carrier;
    if (r->machine.incoming != NULL) {
        carrier_call(r->carrier);
        carrier_await_call(r->carrier);
    }
    static const char let_in[] = "{\"execute\":\"qmp_capabilities\"}\n";
    return r->qemu > 0 &&
           send(r->events, let_in, sizeof let_in - 1, MSG_NOSIGNAL) > 0;
}

/* A reset takes what the guest was saying out of its mouth: what follows on the
 * link begins anew. */
static void on_events(struct runner *r)
{
    char text[16384];
    ssize_t n = recv(r->events, text, sizeof text - 1, MSG_DONTWAIT);

    if (n <= 0) {
        if (n == 0) {
            close(r->events);
            r->events = -1;
        }
        return;
    }
    text[n] = '\0';
    if (strstr(text, "\"RESET\"") != NULL && r->up) {
        note("the machine was reset");
        stop_listening(r);
        carrier_restart(r->carrier);
    }
    judged_events(&r->judged, text);
}

/* ---- signals and the loop --------------------------------------------------
 */

static void pass_on(struct runner *r, int signal)
{
    const uint8_t number[4] = {(uint8_t)signal};

    if (signal == SIGHUP) {
        send_files(r);
    }
    carrier_send(r->carrier, LINK_SIGNAL, number, sizeof number);
}

/* @return true: QEMU has ended */
static bool on_signals(struct runner *r, int signals)
{
    struct signalfd_siginfo info;
    bool over = false;
    int status;

    while (read(signals, &info, sizeof info) == sizeof info) {
        const int number = (int)info.ssi_signo;
        if (number == SIGCHLD) {
            over = over || waitpid(r->qemu, &status, WNOHANG) == r->qemu;
        } else if (r->up) {
            pass_on(r, number);
        } else if (number == SIGTERM || number == SIGINT) {
            (void)kill(r->qemu, SIGKILL);
        }
    }
    return over;
}

static int open_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT,
                                  SIGABRT, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        sigaddset(&set, numbers[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run(struct runner *r, int signals)
{
    static struct pollfd fds[CARRIER_FDS + 4];
    bool link = true;

    for (;;) {
        size_t n = link ? carrier_fds(r->carrier, fds) : 0;
        fds[n] = (struct pollfd){.fd = signals, .events = POLLIN};
        fds[n + 1] = (struct pollfd){.fd = r->events, .events = POLLIN};
        fds[n + 2] =
            (struct pollfd){.fd = link ? r->listener : -1, .events = POLLIN};
        fds[n + 3] = (struct pollfd){.fd = r->judged.changes, .events = POLLIN};
        (void)poll(fds, (nfds_t)n + 4, link ? judged_wait_ms(&r->judged) : -1);
        link = link && carrier_work(r->carrier, fds, n);
        if (link && fds[n + 3].revents != 0) {
            judged_changed(&r->judged);
        }
        if (link) {
            judged_look(&r->judged);
        }
        if (fds[n + 1].revents != 0) {
            on_events(r);
        }
        if (fds[n + 2].revents != 0) {
            take_program(r);
        }
        if (fds[n].revents != 0 && on_signals(r, signals)) {
            break;
        }
    }
    for (int i = 0; link && i < LAST_WORDS; i++) { /* what was under way */
        const size_t n = carrier_fds(r->carrier, fds);
        if (poll(fds, 1, 0) <= 0) {
            break;
        }
        link = carrier_work(r->carrier, fds, n > 0 ? 1 : 0);
    }
}

static int exit_code(const struct runner *r)
{
    if (!r->exited) {
        note("the machine ended without a word of its site; console: %s",
             r->machine.console);
        return EXIT_FAILED;
    }
    return WIFEXITED(r->status) ? WEXITSTATUS(r->status)
                                : 128 + WTERMSIG(r->status);
}

/* ---- the command line ------------------------------------------------------
 */

static const struct option words[] = {
    {"name", required_argument, NULL, 'n'},
    {"conf", required_argument, NULL, 'c'},
    {"address", required_argument, NULL, 'a'},
    {"number", required_argument, NULL, 'i'},
    {"accel", required_argument, NULL, 'x'},
    {"kernel", required_argument, NULL, 'k'},
    {"initrd", required_argument, NULL, 'r'},
    {"memory-mib", required_argument, NULL, 'm'},
    {"net-local", required_argument, NULL, 'l'},
    {"net-remote", required_argument, NULL, 'e'},
    {"user-port", required_argument, NULL, 'u'},
    {"console", required_argument, NULL, 'o'},
    {"log", required_argument, NULL, 'g'},
    {"core", required_argument, NULL, 'd'},
    {"qmp", required_argument, NULL, 'q'},
    {"incoming", required_argument, NULL, 'w'},
    {"folder", required_argument, NULL, 'f'},
    {NULL, 0, NULL, 0},
};

static bool take_word(struct runner *r, int letter, const char *value)
{
    struct machine *m = &r->machine;
    const struct {
        int letter;
        const char **to;
    } texts[] = {
        {'n', &m->name},      {'c', &r->conf},       {'a', &r->address},
        {'x', &m->accel},     {'k', &m->kernel},     {'r', &m->initrd},
        {'l', &m->net_local}, {'e', &m->net_remote}, {'o', &m->console},
        {'g', &m->log},       {'d', &m->core},       {'q', &m->qmp},
        {'w', &m->incoming},  {'f', &r->folder}};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].letter == letter) {
            *texts[i].to = value;
            return true;
        }
    }
    unsigned *number = letter == 'i'   ? &m->number
                       : letter == 'm' ? &m->memory_mib
                       : letter == 'u' ? &m->user_port
                                       : NULL;
    if (number == NULL) {
        return false;
    }
    *number = (unsigned)strtoul(value, NULL, 10);
    return true;
}

static bool all_there(const struct runner *r)
{
    const struct machine *m = &r->machine;
    const char *const needed[] = {m->name,       r->conf,    r->address,
                                  m->kernel,     m->initrd,  m->net_local,
                                  m->net_remote, m->console, m->log,
                                  m->core,       m->qmp};

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (needed[i] == NULL) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct runner *r = &runner;
    int letter;

    while ((letter = getopt_long(argc, argv, "", words, NULL)) != -1) {
        if (!take_word(r, letter, optarg)) {
            return EXIT_USAGE;
        }
    }
    if (!all_there(r)) {
        fprintf(stderr, "motet-guest: started by motet up --on qemu; all of "
                        "its flags are needed\n");
        return EXIT_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int signals = open_signals();
    if (!judged_open(&r->judged, r->folder, r->machine.name)) {
        note("cannot keep what is seen in %s: %s", r->folder, strerror(errno));
        return EXIT_FAILED;
    }
    r->machine.events = r->folder == NULL ? NULL : r->judged.events;
    if (!read_conf(r) || !start_qemu(r)) {
        return EXIT_FAILED;
    }
    run(r, signals);
    stop_listening(r);
    (void)unlink(r->machine.net_local);
    (void)unlink(r->machine.qmp);
    carrier_destroy(r->carrier);
    return exit_code(r);
}
