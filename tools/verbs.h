#ifndef TOOLS_VERBS_H
#define TOOLS_VERBS_H

#include "options.h"

/* The verbs, each in the file that its comment names. */
extern const struct verb verb_up;     /* cmd_up.c */
extern const struct verb verb_down;   /* cmd_down.c */
extern const struct verb verb_status; /* cmd_status.c */

extern const struct verb verb_site_list;     /* cmd_site_list.c */
extern const struct verb verb_site_kill;     /* cmd_site.c */
extern const struct verb verb_site_pause;    /* cmd_site.c */
extern const struct verb verb_site_resume;   /* cmd_site.c */
extern const struct verb verb_site_reset;    /* cmd_site.c */
extern const struct verb verb_site_restart;  /* cmd_site.c */
extern const struct verb verb_site_snapshot; /* cmd_snapshot.c */
extern const struct verb verb_site_restore;  /* cmd_snapshot.c */
extern const struct verb verb_site_add;      /* cmd_site.c */
extern const struct verb verb_site_logs;     /* cmd_logs.c */

extern const struct verb verb_port_list;     /* cmd_port.c */
extern const struct verb verb_port_info;     /* cmd_port.c */
extern const struct verb verb_port_migrate;  /* cmd_migrate.c */
extern const struct verb verb_actor_migrate; /* cmd_migrate.c */
extern const struct verb verb_site_drain;    /* cmd_drain.c */
extern const struct verb verb_why;           /* cmd_why.c */
extern const struct verb verb_group_list;    /* cmd_group.c */
extern const struct verb verb_group_info;    /* cmd_group.c */
extern const struct verb verb_link_list;     /* cmd_link.c */
extern const struct verb verb_link_stats;    /* cmd_link.c */

extern const struct verb verb_link_set;     /* cmd_link_fault.c */
extern const struct verb verb_link_cut;     /* cmd_link_fault.c */
extern const struct verb verb_link_heal;    /* cmd_link_fault.c */
extern const struct verb verb_link_faults;  /* cmd_link_fault.c */
extern const struct verb verb_link_capture; /* cmd_link_fault.c */

extern const struct verb verb_send;    /* cmd_send.c */
extern const struct verb verb_call;    /* cmd_call.c */
extern const struct verb verb_receive; /* cmd_receive.c */
extern const struct verb verb_watch;   /* cmd_watch.c */
extern const struct verb verb_ping;    /* cmd_ping.c */

extern const struct verb verb_bench_call;    /* bench/verbs.c */
extern const struct verb verb_bench_send;    /* bench/verbs.c */
extern const struct verb verb_bench_fanin;   /* bench/verbs.c */
extern const struct verb verb_bench_fanout;  /* bench/verbs.c */
extern const struct verb verb_bench_local;   /* bench/verbs.c */
extern const struct verb verb_bench_start;   /* bench/verbs.c */
extern const struct verb verb_bench_compare; /* bench/verbs.c */
extern const struct verb verb_bench_ports;   /* bench/ports.c */
extern const struct verb verb_bench_migrate; /* bench/migrate.c */

extern const struct verb verb_chaos_run;    /* cmd_chaos.c */
extern const struct verb verb_chaos_list;   /* cmd_chaos.c */
extern const struct verb verb_chaos_faults; /* cmd_chaos.c */
extern const struct verb verb_chaos_check;  /* cmd_chaos.c */
extern const struct verb verb_chaos_add;    /* cmd_chaos_live.c */
extern const struct verb verb_chaos_active; /* cmd_chaos_live.c */
extern const struct verb verb_chaos_clear;  /* cmd_chaos_live.c */

extern const struct verb verb_doctor;  /* cmd_doctor.c */
extern const struct verb verb_version; /* cmd_version.c */

#endif
