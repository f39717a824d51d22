"""The providers that are known from the start: one row each, and nothing but data. Adding a provider is adding a row.

Every row has the page that says what it claims and the month in which that page was read. Must never hold a
credential, nor decide whether a provider is used: the settings do.
"""

from dataclasses import dataclass

from orcestator.providers.models import ModelFacts

CHAT = "chat"
COMPLETIONS = "completions"
EMBEDDINGS = "embeddings"
IMAGES = "images"
AUDIO = "audio"
MODERATIONS = "moderations"
ENDPOINTS = frozenset({CHAT, COMPLETIONS, EMBEDDINGS, IMAGES, AUDIO, MODERATIONS})
TEXT_ENDPOINTS = frozenset({CHAT, COMPLETIONS, EMBEDDINGS})

NO_STREAM_OPTIONS = "no_stream_options"
"""Answers 422 to ``stream_options``; the last chunk has the usage without being asked."""
MAX_TOKENS_ONLY = "max_tokens_only"
"""Answers 422 to ``max_completion_tokens``; the older ``max_tokens`` means the same."""
NO_DEVELOPER_ROLE = "no_developer_role"
"""Knows the role ``system`` and not ``developer``."""
STRICT_BODY = "strict_body"
"""Answers 422 to fields that it does not know."""
NO_MODELS_LIST = "no_models_list"
"""Has no ``GET /models`` under its base URL."""
QUIRKS = frozenset({NO_STREAM_OPTIONS, MAX_TOKENS_ONLY, NO_DEVELOPER_ROLE, STRICT_BODY, NO_MODELS_LIST})

SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    ``key_env`` names the variable with its key, ``also_key_env`` one that means the same; empty when it needs no key,
    and then ``base_url_env`` switches it on. ``key_is_shared``: the variable is set on many machines for other reasons,
    so that the provider is used only when it is named. ``same_as``: other addresses by which this API is known; they stand
    for ``base_url``. ``default_model`` is what ``orcestator`` means here, empty for what its list names first.
    ``prefixes``: how its model names begin, so that one is recognised before it is listed. ``fills`` maps a word in
    braces in ``headers``, ``models`` and ``default_model`` to the variable with its value. ``retired`` is the date
    after which the service no longer answers. ``order``: the lower, the earlier it is tried.
    """

    name: str
    title: str
    base_url: str
    base_url_env: str
    source: str
    order: int
    key_env: str = ""
    also_key_env: str = ""
    key_is_shared: bool = False
    same_as: tuple[str, ...] = ()
    default_model: str = ""
    models: tuple[ModelFacts, ...] = ()
    prefixes: tuple[str, ...] = ()
    endpoints: frozenset[str] = frozenset({CHAT})
    quirks: frozenset[str] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()
    auth_scheme: str = "Bearer"
    fills: tuple[tuple[str, str], ...] = ()
    retired: str = ""
    dialect: str = "openai"
    checked: str = "2026-11"

    @property
    def is_local(self) -> bool:
        """Whether it is a server that somebody runs, and not a service with keys."""
        return not self.key_env and self.name != SANDBOX


_TOOLS = ("tools", "tool_choice", "response_format")
_REASONING = (*_TOOLS, "reasoning_effort")
_SEES = ("text", "image")

ROWS = (
    Provider(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        base_url_env="OPENAI_BASE_URL",
        key_env="OPENAI_API_KEY",
        # Takes temperature and max_tokens, which the reasoning models refuse and many callers send.
        default_model="gpt-4o",
        models=(
            ModelFacts("gpt-4o", 128_000, 16_384, _TOOLS, _SEES),
            ModelFacts("gpt-4o-mini", 128_000, 16_384, _TOOLS, _SEES),
            ModelFacts("gpt-5.5", 1_050_000, 128_000, _REASONING, _SEES),
        ),
        prefixes=(
            *("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "dall-e-", "whisper-", "tts-"),
            "omni-moderation-",
        ),
        endpoints=ENDPOINTS,
        source="https://platform.openai.com/docs/api-reference",
        order=10,
    ),
    Provider(
        name="anthropic",
        title="Anthropic (OpenAI-compatible endpoint)",
        base_url="https://api.anthropic.com/v1",
        base_url_env="ANTHROPIC_BASE_URL",
        same_as=("https://api.anthropic.com",),
        key_env="ANTHROPIC_API_KEY",
        default_model="claude-sonnet-5-5",
        models=(ModelFacts("claude-sonnet-5-5", 1_000_000, 128_000, _TOOLS, _SEES),),
        prefixes=("claude-",),
        source="https://platform.claude.com/docs/en/api/openai-sdk",
        order=20,
    ),
    Provider(
        name="gemini",
        title="Google Gemini (OpenAI-compatible endpoint)",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        base_url_env="GOOGLE_BASE_URL",
        # The native API's address is what GOOGLE_BASE_URL usually holds; the compatible one lies beside it.
        same_as=(
            "https://generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com/v1",
            "https://generativelanguage.googleapis.com/v1beta",
        ),
        key_env="GOOGLE_API_KEY",
        also_key_env="GEMINI_API_KEY",
        default_model="gemini-3-flash-preview",
        models=(ModelFacts("gemini-3-flash-preview", None, None, _REASONING, ("text", "image", "audio")),),
        prefixes=("gemini-",),
        endpoints=frozenset({CHAT, EMBEDDINGS, IMAGES}),
        source="https://ai.google.dev/gemini-api/docs/openai",
        order=30,
    ),
    Provider(
        name="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        base_url_env="XAI_BASE_URL",
        key_env="XAI_API_KEY",
        default_model="grok-4.3",
        models=(ModelFacts("grok-4.3", 1_000_000, None, _TOOLS, _SEES),),
        prefixes=("grok-",),
        endpoints=TEXT_ENDPOINTS | {IMAGES},
        source="https://docs.x.ai/docs/overview",
        order=40,
    ),
    Provider(
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        base_url_env="MISTRAL_BASE_URL",
        key_env="MISTRAL_API_KEY",
        default_model="mistral-medium-latest",
        models=(ModelFacts("mistral-medium-latest", 262_144, None, _TOOLS, _SEES),),
        prefixes=("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "voxtral-", "open-mistral-"),
        endpoints=frozenset({CHAT, EMBEDDINGS, AUDIO, MODERATIONS}),
        # 422 "extra_forbidden": openai/openai-agents-python#442 and editor-code-assistant/eca#231.
        quirks=frozenset({NO_STREAM_OPTIONS, MAX_TOKENS_ONLY, STRICT_BODY}),
        source="https://docs.mistral.ai/api",
        order=50,
    ),
    Provider(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        base_url_env="DEEPSEEK_BASE_URL",
        same_as=("https://api.deepseek.com/v1",),
        key_env="DEEPSEEK_API_KEY",
        default_model="deepseek-flash",
        models=(
            ModelFacts("deepseek-flash", 1_000_000, 384_000, _REASONING, _SEES),
            ModelFacts("deepseek-v4-pro", 1_000_000, 384_000, _REASONING, ("text",)),
        ),
        prefixes=("deepseek-",),
        source="https://api-docs.deepseek.com/quick_start/pricing",
        order=60,
    ),
    Provider(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        base_url_env="GROQ_BASE_URL",
        key_env="GROQ_API_KEY",
        default_model="openai/gpt-oss-120b",
        models=(
            ModelFacts("openai/gpt-oss-120b", 131_072, 65_536, _REASONING, ("text",)),
            ModelFacts("llama-3.3-70b-versatile", 131_072, 32_768, _TOOLS, ("text",)),
        ),
        endpoints=frozenset({CHAT, AUDIO}),
        source="https://console.groq.com/docs/openai",
        order=70,
    ),
    Provider(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        base_url_env="CEREBRAS_BASE_URL",
        key_env="CEREBRAS_API_KEY",
        default_model="gpt-oss-120b",
        models=(ModelFacts("gpt-oss-120b", 131_072, None, _REASONING, ("text",)),),
        endpoints=frozenset({CHAT, COMPLETIONS}),
        quirks=frozenset({NO_DEVELOPER_ROLE}),
        source="https://inference-docs.cerebras.ai/resources/openai",
        order=80,
    ),
    Provider(
        name="together",
        title="Together",
        base_url="https://api.together.ai/v1",
        base_url_env="TOGETHER_BASE_URL",
        same_as=("https://api.together.xyz/v1",),
        key_env="TOGETHER_API_KEY",
        default_model="openai/gpt-oss-20b",
        models=(ModelFacts("openai/gpt-oss-20b", 128_000, None, _REASONING, ("text",)),),
        endpoints=frozenset({CHAT, COMPLETIONS, EMBEDDINGS, IMAGES, AUDIO}),
        source="https://docs.together.ai/docs/inference/openai-compatibility",
        order=90,
    ),
    Provider(
        name="fireworks",
        title="Fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        base_url_env="FIREWORKS_BASE_URL",
        key_env="FIREWORKS_API_KEY",
        default_model="accounts/fireworks/models/gpt-oss-120b",
        models=(ModelFacts("accounts/fireworks/models/gpt-oss-120b", None, None, _REASONING, ("text",)),),
        prefixes=("accounts/",),
        endpoints=TEXT_ENDPOINTS,
        source="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        order=100,
    ),
    Provider(
        name="nvidia",
        title="NVIDIA",
        base_url="https://integrate.api.nvidia.com/v1",
        base_url_env="NVIDIA_BASE_URL",
        key_env="NVIDIA_API_KEY",
        default_model="meta/llama-3.3-70b-instruct",
        models=(ModelFacts("meta/llama-3.3-70b-instruct", 131_072, None, _TOOLS, ("text",)),),
        endpoints=TEXT_ENDPOINTS,
        source="https://docs.api.nvidia.com/nim/reference/llm-apis",
        order=110,
    ),
    Provider(
        name="yandex",
        title="Yandex AI Studio (OpenAI-compatible endpoint)",
        base_url="https://ai.api.cloud.yandex.net/v1",
        base_url_env="YANDEX_BASE_URL",
        key_env="YANDEX_API_KEY",
        default_model="gpt://{folder}/yandexgpt/latest",
        models=(ModelFacts("gpt://{folder}/yandexgpt/latest", None, None, ("tools",), ("text",)),),
        prefixes=("gpt://", "emb://"),
        endpoints=frozenset({CHAT, EMBEDDINGS}),
        headers=(("OpenAI-Project", "{folder}"),),
        fills=(("folder", "YANDEX_FOLDER_ID"),),
        source="https://yandex.cloud/en/docs/ai-studio/concepts/openai-compatibility",
        order=120,
    ),
    Provider(
        name="github",
        title="GitHub Models",
        base_url="https://models.github.ai/inference",
        base_url_env="GITHUB_MODELS_BASE_URL",
        key_env="GITHUB_TOKEN",
        key_is_shared=True,
        default_model="openai/gpt-4o",
        models=(ModelFacts("openai/gpt-4o", 128_000, 16_384, _TOOLS, _SEES),),
        endpoints=frozenset({CHAT, EMBEDDINGS}),
        quirks=frozenset({NO_MODELS_LIST}),
        # https://github.com/orgs/community/discussions/203602
        retired="2026-07-30",
        source="https://docs.github.com/en/rest/models/inference",
        order=130,
    ),
    Provider(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        base_url_env="OPENROUTER_BASE_URL",
        key_env="OPENROUTER_API_KEY",
        also_key_env="OR_API_KEY",
        default_model="openai/gpt-4o",
        models=(
            ModelFacts("openai/gpt-4o", 128_000, 16_384, _TOOLS, _SEES),
            ModelFacts("openrouter/auto"),
        ),
        prefixes=("openai/", "anthropic/", "google/", "deepseek/", "x-ai/", "mistralai/", "meta-llama/", "qwen/"),
        endpoints=TEXT_ENDPOINTS,
        headers=(("X-Title", "orcestator"),),
        source="https://openrouter.ai/docs/api-reference/overview",
        order=200,
    ),
    Provider(
        name="ollama",
        title="Ollama",
        base_url="http://localhost:11434/v1",
        base_url_env="OLLAMA_BASE_URL",
        endpoints=TEXT_ENDPOINTS,
        source="https://docs.ollama.com/api/openai-compatibility",
        order=300,
    ),
    Provider(
        name="lmstudio",
        title="LM Studio",
        base_url="http://localhost:1234/v1",
        base_url_env="LMSTUDIO_BASE_URL",
        endpoints=TEXT_ENDPOINTS,
        source="https://lmstudio.ai/docs/developer/openai-compat",
        order=310,
    ),
    Provider(
        name="vllm",
        title="vLLM",
        base_url="http://localhost:8000/v1",
        base_url_env="VLLM_BASE_URL",
        endpoints=frozenset({CHAT, COMPLETIONS, EMBEDDINGS, AUDIO}),
        source="https://docs.vllm.ai/en/stable/serving/online_serving.html",
        order=320,
    ),
    Provider(
        name="llamacpp",
        title="llama.cpp server",
        base_url="http://localhost:8080/v1",
        base_url_env="LLAMACPP_BASE_URL",
        endpoints=TEXT_ENDPOINTS,
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        order=330,
    ),
    Provider(
        name=SANDBOX,
        title="The built-in sandbox",
        base_url="http://127.0.0.1:9100/v1",
        base_url_env="SANDBOX_BASE_URL",
        default_model="echo",
        models=(ModelFacts("echo"),),
        # Faults, and its models with settings behind a question mark, are not listed.
        prefixes=("fault:", "echo?", "tools?", "reasoner?"),
        endpoints=ENDPOINTS,
        source="docs/configuration.md",
        order=900,
    ),
)
"""All rows, in the order in which they are tried."""


def find_row(name: str) -> Provider | None:
    """The row with this name, or None."""
    return next((row for row in ROWS if row.name == name), None)
