/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of the bridge: a runtime and a bridge, and how a case opens and closes them. */
#ifndef NART_TEST_BRIDGE_H
#define NART_TEST_BRIDGE_H

#include "futures.h"
#include "test.h"

#include <nart/co.h>

#include <stdio.h>
#include <sys/types.h>

extern nart_rt *loop;
extern nart_tokio *bridge;

/* The fixture `both`. At the end of the case the bridge is shut down, both are freed, and every operation
 * must have ended in exactly one way; so also if a case opens both itself. */
void both_open(void);
void both_open_with(const nart_tokio_opts *opts);

/* Opens both with so many workers. */
void open_with_workers(uint32_t workers);

/* Runs a task that sends to Rust, and one that receives what Rust sends back, whose result is n. Then the
 * operation of Rust's part ends with n, and is closed. */
void pass_through_rust(const nart_task_type *sends, const void *init,
                       const nart_task_type *receives, nart_tokio_op *op, uint64_t n);

/* Opens both with two blocking threads at most. */
void open_with_two_blocking_threads(void);

/* Binds a TCP socket to a port of 127.0.0.1 and listens. Returns the port. */
uint16_t listen_locally(int fd, int backlog);

/* A TCP connection to a port of 127.0.0.1. */
int connect_locally(uint16_t port);

/* Two connected TCP sockets, which hold no small packets back. */
void tcp_pair(int ends[2]);

/* Starts a program. What is written to `*input` is its standard input, and `*output` its standard output. */
pid_t start_program(const char *const argv[], int *input, FILE **output);

/* Waits for a forked child, which must exit with 0. */
void check_child(pid_t child);

/* Ends a forked child that leaks on purpose: by another program, because a leak checker would count that. */
void end_leaking_child(void);

/* From now on the process can start n more threads; pthread_create() answers EAGAIN to others. */
void allow_threads(int64_t n);

/* Waits until the work of every operation has ended, also of those that a shutdown has answered. */
void wait_until_all_work_has_ended(void);

/* Closes them before the end of the case, the bridge first. */
void both_close(void);

/* Runs a task to its end. Returns its result. */
nart_res run(const nart_task_type *type, const void *init);

/* The same on tokio's threads. `value` may be NULL. Returns the result of its operation. */
nart_res run_on_tokio(nart_tokio *rt, const nart_task_type *type, const void *init, int64_t *value);

/* A task that awaits an operation or a local future, which remains open. `value` may be NULL. */
struct op_waiter {
    nart_tokio_op *op;
    int64_t *value;
};
struct local_waiter {
    nart_tokio_local *local;
    int64_t *value;
};
extern const nart_task_type op_waiter_type, local_waiter_type;

/* Run such a task. Return its result. */
nart_res await_op(nart_tokio_op *op, int64_t *value);
nart_res await_local(nart_tokio_local *local, int64_t *value);

/* Occupies the bridge's only worker until release_worker(). */
void occupy_worker(nart_tokio_op *op);
void release_worker(nart_tokio_op *op);
void let_worker_go(void); /* without waiting for its answer */

/* A blocking function that counts its calls in `jobs_held`, and returns once `job_gate` is 1. */
extern uint64_t jobs_held, job_gate;
nart_res held_job(void *arg, const nart_tokio_stop *stop);

/* A drop_arg that counts its calls in `args_dropped`. */
extern uint64_t args_dropped;
void drop_arg(void *arg);

/* The counters of the bridge. */
nart_tokio_report report(void);

/* Blocks until `*word` is at least `n`. The watchdog of the case ends a hang. */
void wait_for(const uint64_t *word, uint64_t n);
void let_others_run(void);

/* Blocks until an operation has ended. Returns its result. */
nart_res wait_for_answer(const nart_tokio_op *op, int64_t *value);

void count(uint64_t *word);
uint64_t read_word(const uint64_t *word);
void set_word(uint64_t *word, uint64_t value);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t clock_now(void);

/* A small generator, for random interleavings. */
uint32_t random_number(void);
void random_pause(uint32_t max);

#endif
