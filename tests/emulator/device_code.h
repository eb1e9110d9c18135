/* What CUDA C++ has beyond C++ in kernels: the words of declarations, where a thread is, barriers, shuffles, and the
 * intrinsics that stand for ordinary arithmetic. Included by this folder's cuda_runtime.h, for C++ alone. */
#ifndef TESTS_EMULATOR_DEVICE_CODE_H
#define TESTS_EMULATOR_DEVICE_CODE_H

#include <math.h>
#include <string.h>

#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)

/* Static shared memory lies in one section a file (EMULATOR_FILE, which CMake defines), so that all of it can be poisoned before a
 * block. Functions that have some are static and no templates, whose variables gcc leaves in the common section: those take
 * KERNEL_SHARED. tests/emulator/shared_memory_test.sh looks. */
#ifndef EMULATOR_FILE
#define EMULATOR_FILE unnamed
#endif
#define EMULATOR_TEXT_(name) #name
#define EMULATOR_TEXT(name) EMULATOR_TEXT_(name)
#define EMULATOR_JOIN_(a, b) a##b
#define EMULATOR_JOIN(a, b) EMULATOR_JOIN_(a, b)
#define __shared__ static __attribute__((section("emulator_shared_" EMULATOR_TEXT(EMULATOR_FILE))))
#define EMULATOR_SHARED EMULATOR_JOIN(__start_emulator_shared_, EMULATOR_FILE)
#define EMULATOR_SHARED_END EMULATOR_JOIN(__stop_emulator_shared_, EMULATOR_FILE)

extern "C" {
extern unsigned char EMULATOR_SHARED[] __attribute__((weak, visibility("hidden")));
extern unsigned char EMULATOR_SHARED_END[] __attribute__((weak, visibility("hidden")));
}

enum { warpSize = 32 };

inline unsigned emulator_lane(void)
{
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % warpSize;
}

inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    __ballot_sync(mask, 0);
}

inline int __any_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) != 0;
}

inline int __all_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) == mask;
}

template <class Value>
static Value emulator_shuffle_value(unsigned mask, Value value, unsigned from)
{
    static_assert(sizeof value == 4 || sizeof value == 8, "CUDA shuffles 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emulator_shuffle(mask, bits, from);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The lanes of a warp in groups of `width`, a power of two. */
template <class Value>
static Value __shfl_sync(unsigned mask, Value value, int from, int width = warpSize)
{
    const unsigned lane = emulator_lane(), group = lane / (unsigned)width * (unsigned)width;
    return emulator_shuffle_value(mask, value, group + (unsigned)from % (unsigned)width);
}

template <class Value>
static Value __shfl_up_sync(unsigned mask, Value value, unsigned delta, int width = warpSize)
{
    const unsigned lane = emulator_lane(), within = lane % (unsigned)width;
    return emulator_shuffle_value(mask, value, delta <= within ? lane - delta : lane);
}

template <class Value>
static Value __shfl_down_sync(unsigned mask, Value value, unsigned delta, int width = warpSize)
{
    const unsigned lane = emulator_lane(), within = lane % (unsigned)width;
    return emulator_shuffle_value(mask, value,
                                  within + delta < (unsigned)width ? lane + delta : lane);
}

template <class Value>
static Value __shfl_xor_sync(unsigned mask, Value value, int lanes, int width = warpSize)
{
    const unsigned lane = emulator_lane(), from = lane ^ (unsigned)lanes;
    const bool later = from / (unsigned)width > lane / (unsigned)width;
    return emulator_shuffle_value(mask, value, later ? lane : from);
}

/* Vectors */

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};

inline float2 make_float2(float x, float y)
{
    return {x, y};
}

inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

inline uint2 make_uint2(unsigned x, unsigned y)
{
    return {x, y};
}

inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}

/* Arithmetic */

template <class Value> static inline Value min(Value a, Value b)
{
    return b < a ? b : a;
}

template <class Value> static inline Value max(Value a, Value b)
{
    return a < b ? b : a;
}

template <class Value> static inline Value __ldg(const Value *from)
{
    return *from;
}

template <class Value> static inline Value __ldcs(const Value *from)
{
    return *from;
}

template <class Value> static inline void __stcs(Value *to, Value value)
{
    *to = value;
}

static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

/* Macros because the C library has functions of these names. */
#define __expf expf
#define __logf logf

static inline float __fdividef(float a, float b)
{
    return a / b;
}

static inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}

/* Never contracted to a fused multiply-add, here neither. */
static inline float __fmul_rn(float a, float b)
{
    const volatile float product = a * b;
    return product;
}

static inline float __fadd_rn(float a, float b)
{
    const volatile float sum = a + b;
    return sum;
}

static inline float __saturatef(float x)
{
    return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}

static inline unsigned __float_as_uint(float x)
{
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline int __float_as_int(float x)
{
    int bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float __uint_as_float(unsigned bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float __int_as_float(int bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)(((uint64_t)a * b) >> 32);
}

static inline int __popc(unsigned bits)
{
    return __builtin_popcount(bits);
}

static inline int __clz(int bits)
{
    return bits ? __builtin_clz((unsigned)bits) : 32;
}

static inline int __ffs(int bits)
{
    return __builtin_ffs(bits);
}

/* Launches */

template <class... Parameters> struct emulator_call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> parameters;
};

template <class... Parameters> static void emulator_thread(const void *closure)
{
    const auto *call = static_cast<const emulator_call<Parameters...> *>(closure);
    std::apply(call->kernel, call->parameters);
}

template <class Parameter> static inline void emulator_check(const Parameter &parameter)
{
    if constexpr (std::is_pointer<Parameter>::value)
        emulator_check_pointer(parameter);
    else
        (void)parameter;
}

template <class... Parameters, class... Arguments>
static inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config,
                                             void (*kernel)(Parameters...),
                                             Arguments &&...arguments)
{
    static_assert(sizeof...(Parameters) == sizeof...(Arguments), "arguments and parameters differ");
    static_assert((std::is_trivially_copyable<Parameters>::value && ...), "parameters are copied");
    (emulator_check<Parameters>(arguments), ...);
    const emulator_call<Parameters...> call = {
        kernel, std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)};
    const struct emulator_launch launch = {config,
                                           reinterpret_cast<const void *>(kernel),
                                           emulator_thread<Parameters...>,
                                           &call,
                                           sizeof call,
                                           EMULATOR_SHARED,
                                           EMULATOR_SHARED_END};
    return emulator_launch(&launch);
}

template <class... Parameters>
static inline cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...),
                                               enum cudaFuncAttribute attribute, int value)
{
    return emulator_function_attribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

#endif
