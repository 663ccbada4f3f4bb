/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <pthread.h> /* must precede relacy, which redefines its names */

#include "relacy/engine.hpp"

#undef malloc
#undef free /* the allocator's table has a member of this name */

#include "scenarios/oneshot_blocking.c"

int main(int argc, char **argv)
{
    return model_main(argc, argv);
}
