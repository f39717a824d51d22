"""A real stock FastChat worker without a model: it echoes the last line of its prompt, in three frames.

The stock class, the stock application and the stock heart-beat thread, unmodified; run as a process by the tests.
"""

import argparse
import json

import fastchat.serve.base_model_worker as stock
import uvicorn
from fastchat.conversation import get_conv_template

CONTEXT_LENGTH = 4096


class EchoWorker(stock.BaseModelWorker):
    def make_conv_template(self, conv_template=None, model_path=None):
        return get_conv_template("vicuna_v1.1")

    def count_token(self, params):
        return {"count": len(params["prompt"].split()), "error_code": 0}

    def generate_stream_gate(self, params):
        if "fail" in params["prompt"]:
            yield json.dumps({"text": "it failed", "error_code": 50001}).encode() + b"\0"
            return
        answer = "echo: " + params["prompt"].rsplit("USER: ", 1)[1].removesuffix(" ASSISTANT:")
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        for end in (len(answer) // 2, len(answer)):
            frame = {"text": answer[:end], "error_code": 0, "usage": usage, "finish_reason": None}
            yield json.dumps(frame).encode() + b"\0"
        frame["finish_reason"] = "stop"
        yield json.dumps(frame).encode() + b"\0"

    def generate_gate(self, params):
        *_, last = self.generate_stream_gate(params)
        return json.loads(last[:-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--controller-address", required=True)
    parser.add_argument("--model", required=True)
    arguments = parser.parse_args()
    address = f"http://127.0.0.1:{arguments.port}"
    worker = EchoWorker(arguments.controller_address, address, "echo", "echo", [arguments.model], 5)
    worker.context_len = CONTEXT_LENGTH
    worker.init_heart_beat()
    uvicorn.run(stock.app, host="127.0.0.1", port=arguments.port, log_level="info")


if __name__ == "__main__":
    main()
