// What the kernels are told: one struct a job, plain data, the same in jobs.rs. A launch runs many jobs side by side: block i of it
// does block `work[i].y` of job `work[i].x`. Everything the host knows before a pass stands in these tables, which stay on the
// device; what changes from pass to pass stands in `Pass` and in buffers that they point to.
//
// Images are f32, NHWC; `c` is the number of channels as stored, 4 or a multiple of 8, and what stands behind the real ones is zero.

// What a pass is like.
struct Pass {
    int mode;      // Statistics of affine norms: 0 of the batch, and the running ones move; 1 of the batch; 2 the running ones.
    int images;    // In the batch.
    float lr, momentum, decay, clip;   // Of the optimiser; clip 0: no clipping.
    int nesterov;
    int drawn;     // Whether terms whose weight is 0 are left out.
    float smoothing;   // Of labels.
    int unused;
};

// An image as a convolution reads it: `a x + t` by channel (x itself where a is null), then, if asked for, max(., 0).
// Outside of the image it is zero.
struct Source {
    const float* x;
    const float* a;
    const float* t;
    int relu;
    int unused;
};

// The gradient at a convolution's output: `a r dy + b z + g` by channel, `a r dy` where z is null; r differs from image to image and is
// 1 where null. Outside of the image it is zero.
struct Gradient {
    const float* dy;
    const float* z;
    const float* a;
    const float* b;
    const float* g;
    const float* r;
};

// A window over an image `[b, h, w, c]` that makes one of `[b, oh, ow, oc]`.
struct Window {
    int b, h, w, c;
    int oh, ow, oc;
    int k, stride, pad, dilation;
    int unused;
};

// The batch norm behind a convolution: what the last block of a job makes of the sums.
struct Norm {
    int kind;       // 0 none, 1 of the batch without affine part, 2 affine.
    int channels;   // Real ones.
    const float* gamma;
    const float* beta;
    const float* running_mean;
    const float* running_var;
    float* new_mean;          // The running statistics as this pass moves them.
    float* new_var;
    const float* bias[2];     // Biases that the norm cancels, unless they are not finite; or null. One of the first channels, one of
    int first, unused;        // those from `first` on.
    double* mean;             // By channel as stored, made here:
    double* istd;
    float* a;                 // n = a z + t
    float* t;
};

// The sums over a batch that the blocks of a job leave, and how many blocks are done: the last one adds them up in their order.
struct Sums {
    double* parts;     // [blocks][rows][c]
    int* done;         // 0 between launches.
};

// How the gradient behind a norm goes on to the convolution before it.
struct NormGradient {
    int kind;          // As in Norm.
    int channels;
    const double* mean;
    const double* istd;
    const float* gamma;
    const float* beta;
    const float* mix;  // The weight of the term; 1 where null.
    float* a;          // dz = a dy + b z + g
    float* b;
    float* g;
    float* dgamma;     // Where there are any.
    float* dbeta;
    double* dmix;      // The part of the weight's gradient.
};

// ---- conv.cu -------------------------------------------------------------------------------------------------------------------

// Weights in the order in which the products of forward and backward pass read them.
struct PackJob {
    int kind;               // 0 dense, 1 two halves (see below), 2 depthwise.
    int k, ci, co;          // Real channels; depthwise: ci.
    int ci_p, co_p;         // As stored.
    const float* w[2];      // Dense [co, ci, k, k]; depthwise [ci, 1, k, k]. Two halves: 1x1, the first co / 2 (rounded down)
                            // outputs see the first ci / 2 inputs by w[0], the others see the second ones by w[1].
    float* forward;         // Depthwise: [k k, ci_p], zeros behind the real channels.
    float* backward;        // Null for depthwise.
};

struct ConvForwardOf {      // One of the convolutions of a job.
    const float* weights;
    float* z;
    Norm norm;
    const int* live;        // Not wanted where this is 0; wanted where null.
};

struct ConvForwardJob {     // Convolutions of the same windows over the same image: it is read once for all of them.
    Source x;
    Window window;          // Its oc: of each.
    const ConvForwardOf* of;
    Sums sums;              // Two rows, of z and of its squares, each with the outputs of all one behind the other.
    int n_of;               // 1 to 3; several only where each has no more than 16 outputs.
    int tiles;              // Of 16 outputs that a block makes: those of all, or 1 to 3 of the one, a divisor of all it has.
    int blocks;
    int split;              // Warps that share the sums of 32 pixels: 1, 2, 4 or 8.
    int staged, unused;     // Floats of shared memory for what a block reads; 0: it reads the image itself.
};

struct ConvInputPart {      // A convolution that reads the node.
    Gradient dz;
    Window window;
    const float* weights;   // PackJob's backward.
    const int* live;
};

struct ConvInputJob {       // dx = sum over the parts, where x > 0 if x.relu; added to dx if `add`.
    Source x;
    int b, h, w, c;
    float* dx;
    const ConvInputPart* parts;
    int n_parts, add;
    int blocks, split;      // As in ConvForwardJob.
    int staged, unused;
    const int* live;
};

struct ConvWeightJob {      // The gradient of the weights, in their own order.
    Source x;
    Gradient dz;
    Window window;
    int kind;               // 0 dense, 1 two halves.
    int ci, co;             // Real channels.
    int splits;             // Parts that the pixels of the batch are cut into.
    float* parts;
    int* done;
    float* dw[2];
    int blocks;
    int staged;             // As in ConvForwardJob, for `pixels`; 0: a block reads the image itself.
    int pixels, unused;     // That a block reads at a time: a multiple of 8, at most 256.
    const int* live;
};

// ---- separable.cu --------------------------------------------------------------------------------------------------------------

struct SeparableForwardJob {   // z = pointwise(depthwise(x)); the window is the depthwise one's, its oc the pointwise one's.
    Source x;
    Window window;
    const float* depthwise;    // PackJob's forward of kind 2.
    const float* pointwise;    // PackJob's forward of kind 0, k = 1.
    float* z;
    Sums sums;
    Norm norm;
    int blocks, each;          // Tiles of a block.
    const int* live;
};

struct SeparableInnerJob {     // da = pointwise^T(dz), [b, oh, ow, c]; the pointwise weights' gradient.
    Source x;
    Gradient dz;
    Window window;
    const float* depthwise;
    const float* pointwise;    // PackJob's backward.
    float* da;
    int ci, co;                // Real channels.
    int splits, unused;
    float* parts;
    int* done;
    float* dw;                 // [co, ci]
    int blocks, unused2;
    const int* live;
};

struct SeparableInputPart {
    Window window;
    const float* da;
    const float* depthwise;
    const int* live;
};

struct SeparableInputJob {     // dx = sum over the parts of depthwise^T(da), where x > 0 if x.relu; added to dx if `add`.
    Source x;
    int b, h, w, c;
    float* dx;
    const SeparableInputPart* parts;
    int n_parts, add;
    int blocks, unused;
    const int* live;
};

struct SeparableTapJob {       // The depthwise weights' gradient, [ci, 1, k, k].
    Source x;
    Window window;
    const float* da;
    int ci, splits;
    float* parts;
    int* done;
    float* dw;
    int blocks, unused;
    const int* live;
};

// ---- channels/derive.cu --------------------------------------------------------------------------------------------------------

struct DeriveJob {       // A node made of another one without being a sum of terms.
    int kind;            // 0 the images, [b, channels, h, w]; 1 2x2 average, stride 2; 2 3x3 maximum; 3 halves; 4 a part of a concatenation, or
                         // first channels; 5 2x2 maximum, stride 2; 6 channels from `at` on, shuffled: `stride` runs of `channels`.
    int b, h, w, c;      // What is made.
    int sh, sw, sc;      // What it is made of.
    int channels;        // Real channels of that.
    int stride;
    int at, width;       // A part: its first channel, and how many channels the job writes: those behind the real ones are zero.
    const float* x;
    float* y;
    unsigned char* choice;   // Maximum: which of the pixels it was.
    int blocks, unused;
    const int* live;
};

// ---- pool/pool.cu --------------------------------------------------------------------------------------------------------------

struct PoolForwardJob {  // z = the 3x3 pool of x, or x, on its way to a norm.
    const float* x;
    Window window;       // k 3, pad 1; of x itself k 1, pad 0.
    int kind, unused;    // 0 average of the pixels of the image, 1 maximum, 2 x itself.
    float* z;
    unsigned char* choice;
    Sums sums;           // Parts: [group of 64 channels][blocks of pixels][2][channels of the group]; counters: see rows.cuh.
    Norm norm;
    int blocks, each;    // Pixels of a block.
    const int* live;
};

// ---- linear_sum/fill.cu --------------------------------------------------------------------------------------------------------

struct FillTerm {
    int kind;            // 0 a convolution behind its norm, 1 a node, 2 the 3x3 average of a node.
    int h, w, stride;    // Of what is averaged.
    const float* x;
    const float* a;
    const float* t;
    const float* mix;    // The weight; 1 where null.
    const float* scale;  // By image; 1 where null.
};

struct FillJob {         // x = the sum of the terms.
    int b, h, w, c;
    float* x;
    const FillTerm* terms;
    int n_terms, blocks;
    const int* live;
};

// ---- linear_sum/gather.cu ------------------------------------------------------------------------------------------------------

struct GatherSource {    // What arrives at a node from one that is made of it.
    int kind;            // 0 as it is; back through: 1 a 3x3 average, 2 a 3x3 maximum, 3 a 2x2 average, 4 halves, 5 a concatenation,
                         // 6 the tap: ReLU, then an average of k x k without padding, 7 a 2x2 maximum, 8 a shuffle of `stride` runs of
                         // channels, from channel `at` on.
    int h, w, c;         // The image whose gradient `dz` is; of the tap, c are real channels.
    int stride, at;      // The first channel in a concatenation; k of the tap.
    int channels, unused;    // Real channels of the node.
    Gradient dz;         // Where a is null: r dy.
    const float* mix;    // The weight; 1 where null.
    const unsigned char* choice;
    const int* live;
};

struct GatherRow {       // A number by channel, summed over the batch: r left (right - mean).
    int left;            // 0 dx, 1 the node, 2 its 3x3 average.
    int source;          // What arrives from this source, without its weight, is `right`; -1: `right` says it.
    const float* right;  // An image as large as the node; 1 where null.
    const float* r;      // By image; 1 where null.
    const double* mean;  // Its f32 is taken away, where not null: what is left of z is small where its channel hardly varies.
};

struct GatherTerm {      // A convolution that is a term of the node.
    int sum, dot;        // Rows.
    NormGradient norm;   // Its dmix has an entry for each group of channels.
};

struct GatherDot {
    int row, unused;
    double* dmix;        // An entry for each group of channels.
};

struct GatherJob {       // dx = base + what arrives; then the norms of the node's own terms.
    int b, h, w, c;
    int channels, each;  // Pixels of a block.
    const float* base;   // What arrives through convolutions, or null.
    const float* x;
    float* dx;
    const GatherSource* sources;
    const GatherRow* rows;
    const GatherTerm* terms;
    const GatherDot* dots;
    double* ghost;       // The sum of row 0 over the channels, for each group of channels; or null.
    int n_sources, n_rows, n_terms, n_dots;
    int n_averages;      // The first sources: averages of stride 1 of nodes, without a norm.
    int tiles;           // Images that rows have on their left: 1 dx, 2 the node, too, 3 its average, too.
    Sums sums;           // Parts: [group of 64 channels][blocks of pixels][rows][channels of the group]; counters: see rows.cuh.
    int blocks;
    int n_plain;         // The sources behind the averages: what arrives as it is, without a norm.
    const int* live;
};

struct MixJob {          // out[i] = the sum of values[slots[j]] for j from start[i] up to start[i + 1].
    const int* start;
    const int* slots;
    const double* values;
    float* out;
    int n, blocks;
};

// ---- gpu/side_by_side.cu -------------------------------------------------------------------------------------------------------

struct SideBySide {      // Two launches as one: blocks of the first, then of the second.
    const void* first;
    const int2* first_work;
    const void* second;
    const int2* second_work;
    int n_first, blocks; // Of the first; of both.
    int shared, unused;
};

// ---- head/head.cu --------------------------------------------------------------------------------------------------------------

struct MomentsJob {      // The norm of an image's channels.
    const float* x;
    int pixels, c;       // Of the batch.
    Sums sums;           // As those of a pool.
    Norm norm;
    int blocks, each;    // Pixels of a block.
};

struct HeadJob {         // Logits from the last node; without norm (a null) there is no ReLU.
    int b, pixels, c, channels, classes, unused;
    const float* x;
    const float* a;
    const float* t;
    const float* weight; // [classes, channels]
    const float* bias;
    float* pooled;       // [b, c]
    float* logits;       // [b, classes]
    int blocks, unused2; // b
};

struct HeadBackJob {
    int b, pixels, c, channels, classes, unused;
    const float* x;
    const float* a;
    const float* t;
    const float* weight;
    const float* pooled;
    const float* dlogits;
    float* dn;           // The gradient behind the norm, [b, pixels, c].
    float* dweight;
    float* dbias;
    Sums sums;           // [b][2][c]
    NormGradient norm;
    int weight_blocks;   // Blocks behind those of the images: the gradient of the linear map.
    int blocks;
};

struct TapJob {          // y = the k x k average of relu(x) without padding, [b, oh, ow, channels].
    const float* x;
    Window window;
    int channels, unused;
    float* y;
    int blocks, unused2;
};

struct LossJob {         // Cross-entropy, its mean over the batch, and its gradient at the logits.
    int b, classes;
    const float* logits;
    const int* labels;
    float* dlogits;
    double* loss;        // The mean, then how many were right.
    int blocks, unused2;
};

// ---- iim/score.cu --------------------------------------------------------------------------------------------------------------

struct ScoreJob {        // The IIM score of a x + t (x itself where a is null), summed over the images.
    const float* x;
    const float* a;
    const float* t;
    int b, h, w, c;
    int channels;
    int stride;          // 0, or that of a 3x3 average pool before the score.
    int sh, sw;          // What is pooled.
    double* parts;
    int* done;
    double* score;
    int blocks, unused;
};

// ---- sgd/sgd.cu ----------------------------------------------------------------------------------------------------------------

struct SgdState {
    double norm;         // Of all gradients together.
    float scale;         // From clipping.
    int finite;          // Whether they all are.
};

struct SgdJob {          // One weight; its gradient is zero where null.
    float* w;
    float* m;
    const float* g;
    int n, first;        // The first block of the job among all blocks of the launch.
    double* parts;       // Of all jobs; a number a block.
    int* done;
    SgdState* state;
    int all_blocks;      // Of all jobs.
    int blocks;
    const int* live;     // Without a gradient where this is 0.
};

struct CommitJob {       // Running statistics as a pass moved them: taken over unless one of them all is not finite.
    const float* from;
    float* to;
    int n, all;          // Numbers; jobs of the launch, a block each.
    int* spoiled;        // Of all jobs: how many are not finite, and how many blocks are done; 0 between steps.
    int* done;
    const SgdState* state;   // Nothing is taken over where the gradients were not finite.
};
