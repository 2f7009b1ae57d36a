// links: kf-indexer
// How much room the cache's file system keeps, and when footage has to go for it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "indexer/cacheroom.h"
#include "lib/core/alloc.h"

#define MIB (UINT64_C(1) << 20)

static void a_fiftieth_but_neither_much_nor_little(void **state)
{
    (void)state;
    assert_int_equal(cacheroom_reserve(1000 * MIB), 20 * MIB);
    assert_int_equal(cacheroom_reserve(200 * MIB), 8 * MIB);
    assert_int_equal(cacheroom_reserve(20 * MIB), 2 * MIB);
    assert_int_equal(cacheroom_reserve(MIB << 20), 512 * MIB);
    assert_int_equal(cacheroom_reserve(0), 0);
}

static void while_filing_goes_on_only_the_last_half_counts(void **state)
{
    (void)state;
    const struct {
        uint64_t available, need, need_filing;
    } table[] = {{1000, 0, 0}, {20, 0, 0}, {19, 1, 0}, {10, 10, 0}, {9, 11, 1}, {0, 20, 10}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct retention_space space = {
            .total_bytes = 1000 * MIB, .available_bytes = table[i].available * MIB};
        assert_int_equal(cacheroom_need(&space, false), table[i].need * MIB);
        assert_int_equal(cacheroom_need(&space, true), table[i].need_filing * MIB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fiftieth_but_neither_much_nor_little),
        cmocka_unit_test(while_filing_goes_on_only_the_last_half_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
