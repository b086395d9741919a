"""run.py NET INPUT: check NET, run it on the floats of INPUT; print its number of batch norms, then its logits."""
import sys
import numpy as np, onnx, onnxruntime

model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
assert {p.key: p.value for p in model.metadata_props} == {"note": "a note"}
shape = [d.dim_value or -1 for d in model.graph.input[0].type.tensor_type.shape.dim]
x = np.fromfile(sys.argv[2], dtype="<f4").reshape(shape)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
logits = onnxruntime.InferenceSession(sys.argv[1], options).run(["logits"], {"images": x})[0]
print(sum(n.op_type == "BatchNormalization" for n in model.graph.node))
print(*logits.flatten().tolist())
