/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* program_forms.h: what a body does, in every form of await. Included twice, as statements of a body of co.h and
 * of a fiber's function, in terms of AWAIT and others. */
/* clang-format off */
    begin(b);
    while (plan(cx, b)) {
        if (b->form == ONE) {
            AWAIT(b->r, arm(cx, b, 0));
        } else if (b->form == FOR) {
            AWAIT_FOR(b->r, b->ns, arm(cx, b, 0));
        } else if (b->form == UNTIL) {
            AWAIT_UNTIL(b->r, b->scope_from, arm(cx, b, 0));
        } else if (b->form == ANY2) {
            AWAIT_ANY(b->which, b->r, arm(cx, b, 0), arm(cx, b, 1));
        } else if (b->form == ANY3) {
            AWAIT_ANY(b->which, b->r, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2));
        } else if (b->form == ANY8) {
            AWAIT_ANY(b->which, b->r, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2),
                           arm(cx, b, 3), arm(cx, b, 4), arm(cx, b, 5), arm(cx, b, 6),
                           arm(cx, b, 7));
        } else if (b->form == FAIR4) {
            AWAIT_ANY_FAIR(b->which, b->r, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2),
                                arm(cx, b, 3));
        } else if (b->form == NESTED) {
            AWAIT_ANY(b->which, b->r, NART_ANY(b->inner, arm(cx, b, 0), arm(cx, b, 1)),
                           arm(cx, b, 2), NART_ANY_FAIR(b->inner, arm(cx, b, 3), arm(cx, b, 4)));
        } else if (b->form == NESTED_FOR) {
            AWAIT_FOR(b->r, b->ns,
                           NART_ANY_FAIR(b->which, NART_ANY(b->inner, arm(cx, b, 0), arm(cx, b, 1)),
                                         NART_ANY(b->inner, arm(cx, b, 2), arm(cx, b, 3))));
        } else if (b->form == UNTIL_FAIR) {
            AWAIT_UNTIL(b->r, b->scope_from,
                             NART_ANY_FAIR(b->which, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2)));
        } else if (b->form == LOOP) {
            for (; b->i < b->n; b->i++) {
                AWAIT_ANY(b->which, b->r, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2));
                if (!race_again(b))
                    break;
            }
        } else if (b->form == LOOP_FOR) {
            for (; b->i < b->n; b->i++) {
                b->scope_from = virtual_now + b->ns;
                AWAIT_FOR(b->r, b->ns, NART_ANY(b->which, arm(cx, b, 0), arm(cx, b, 1)));
                if (!race_again(b))
                    break;
            }
        } else if (b->form == FLOOD) {
            for (; b->i < b->n && b->r >= 0; b->i++)
                AWAIT(b->r, arm(cx, b, 0));
        } else if (b->form == AFTER) {
            AWAIT(b->r, NART_AFTER(&b->after, b->ns, arm_after(cx, b)));
        } else if (b->form == AFTER_RACE) {
            AWAIT_ANY(b->which, b->r, NART_AFTER(&b->after, b->ns, arm_after(cx, b)),
                           arm(cx, b, 1));
        } else if (b->form == AFTER_UNTIL) {
            AWAIT(b->r, NART_AFTER_UNTIL(&b->after, b->scope_from, arm_after(cx, b)));
        } else if (b->form == AFTER_UNTIL_RACE) {
            AWAIT_ANY(b->which, b->r, arm(cx, b, 1),
                           NART_AFTER_UNTIL(&b->after, b->scope_from, arm_after(cx, b)));
        } else if (b->form == SHIELDED) {
            for (b->n = b->n / 8; b->i < b->n && b->r >= 0; b->i++) {
                SHIELD(b->ns + NART_MS);
                AWAIT(b->r, arm(cx, b, 0));
                UNSHIELD();
                if (b->kid[0])
                    break;
            }
        } else if (b->form == NURSERY) {
            nest_open(cx, b);
            AWAIT_ANY(b->which, b->r, arm(cx, b, 0), arm(cx, b, 1));
            b->inner = how_to_join(b);
            if (b->inner == IN_TIME) {
                AWAIT_FOR(b->joined, b->ns, nest_join(cx, b));
            } else if (b->inner == IN_RACE) {
                AWAIT_ANY(b->which, b->joined, nest_join(cx, b), arm(cx, b, 2));
                set_aside(b, 2, 3);
                if (b->which == 1)
                    AWAIT(b->joined, nest_join(cx, b));
            } else if (b->inner != LEFT) {
                AWAIT(b->joined, nest_join(cx, b));
            }
        } else if (b->form == BIASED3) {
            AWAIT_ANY_BIASED(b->which, b->r, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2));
        } else if (b->form == ALL3) {
            AWAIT_ALL(b->r, b->all->three, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2));
            check_all(b);
        } else if (b->form == ALL_OK3) {
            AWAIT_ALL_OK(b->r, b->all->three, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2));
            check_all(b);
        } else if (b->form == ALL_FOR) {
            AWAIT_FOR(b->r, b->ns,
                           NART_ALL(b->all->three, arm(cx, b, 0), arm(cx, b, 1), arm(cx, b, 2)));
            check_all(b);
        } else if (b->form == ALL_ALL) {
            AWAIT_ALL(
                b->r, b->all->two, arm(cx, b, 0),
                part(b, 1, 4,
                     NART_ALL_OK(b->all->three, arm(cx, b, 1), arm(cx, b, 2), arm(cx, b, 3))));
            EXPECT(kept(b, b->all->three, 3, 1) == b->all->two[1].res, "the inner ones");
        } else if (b->form == RACE_IN_ALL) {
            AWAIT_ALL(b->r, b->all->two,
                           part(b, 0, 2, NART_ANY(b->which, arm(cx, b, 0), arm(cx, b, 1))),
                           arm(cx, b, 2));
            EXPECT(b->all->two[0].res == b->all->r[b->which], "the race");
        } else if (b->form == ALL_IN_RACE) {
            AWAIT_ANY(b->which, b->r, arm(cx, b, 0),
                           NART_ALL(b->all->two, arm(cx, b, 1), arm(cx, b, 2)));
            EXPECT(b->which == 0 || b->r == kept(b, b->all->two, 2, 1), "its answer");
        } else {
            YIELD();
        }
        for (clear_up(b); b->next; free_next(b)) {
            if (stop_next(b))
                STOP(b->ignored, body_run(cx, b->next));
            else if (await_next(b))
                AWAIT(b->ignored, body_run(cx, b->next));
        }
        if (b->r == -ECANCELED || b->nest.open)
            break;
    }

#undef AWAIT
#undef AWAIT_FOR
#undef AWAIT_UNTIL
#undef AWAIT_ANY
#undef AWAIT_ANY_FAIR
#undef AWAIT_ANY_BIASED
#undef AWAIT_ALL
#undef AWAIT_ALL_OK
#undef SHIELD
#undef UNSHIELD
#undef STOP
#undef YIELD
