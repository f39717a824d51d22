"""The providers that are known from the start: one row each, and nothing but data. Adding a provider is adding a row.

Every row has the page that says what it claims and the month in which that page was read. Must never hold a
credential, nor decide whether a provider is used: the settings do.
"""

from dataclasses import dataclass
from typing import NamedTuple

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
"""Has no list of models that could be asked for, or one that says nothing about what this key can call."""
SHORT_TOOL_IDS = "short_tool_ids"
"""Answers 400 to a tool call's id that is not nine letters and digits."""
NEW_MAX_TOKENS = "new_max_tokens"
"""Its reasoning models answer 400 to ``max_tokens``, and all its models take ``max_completion_tokens``."""
REASONING_BACK = "reasoning_back"
"""Answers 400 when an assistant message with tool calls comes back without its ``reasoning_content``."""
DETAILS_BACK = "details_back"
"""Wants the ``reasoning_details`` of its answers back unchanged; without them a model begins to think anew."""
QUIRKS = frozenset(
    {
        NO_STREAM_OPTIONS,
        MAX_TOKENS_ONLY,
        NO_DEVELOPER_ROLE,
        STRICT_BODY,
        NO_MODELS_LIST,
        SHORT_TOOL_IDS,
        REASONING_BACK,
        DETAILS_BACK,
        NEW_MAX_TOKENS,
    }
)

SANDBOX = "sandbox"


class Auth(NamedTuple):
    """How a key is shown: the header, and the word before the key, empty for the key alone."""

    header: str = "Authorization"
    scheme: str = "Bearer"


BEARER = Auth()
X_API_KEY = Auth("x-api-key", "")

DIALECT_AUTH = {
    "openai": BEARER,
    "anthropic": X_API_KEY,
    "gemini": Auth("x-goog-api-key", ""),
    "responses": BEARER,
    "yandex": Auth("Authorization", "Api-Key"),
    "cohere": BEARER,
    "ollama": BEARER,
}
"""Every dialect that a provider may speak, and how its inventor wants to see the key."""
DIALECT_HEADERS = {"anthropic": (("anthropic-version", "2023-06-01"),)}
"""Headers that a dialect cannot do without (https://platform.claude.com/docs/en/api/versioning)."""
DIALECT_LISTS = {
    "anthropic": "/models?limit=1000",
    "gemini": "/models?pageSize=1000",
    "cohere": "/../v1/models?page_size=1000&endpoint=chat",
    "ollama": "/api/tags",
}
"""Where a dialect lists the models, if not at ``/models``, from its own base URL; three give pages."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    ``key_env`` names the variable with its key, ``also_key_env`` one that means the same; empty when it needs no key,
    and then ``base_url_env`` switches it on. ``token_env`` names a variable with a short-lived token that goes as
    ``Authorization: Bearer`` when there is no key. ``only_named``: used only when it is named, because its variable is
    set on many machines for other reasons or belongs to another row, too. ``same_as``: other addresses by which this
    API is known; they stand for ``base_url``. ``default_model`` is what ``orcestator`` means here, empty for what its
    list names first. ``prefixes``: how its model names begin, so that one is recognised before it is listed. ``fills``
    maps a word in braces in ``base_url``, ``headers``, ``models`` and ``default_model`` to the variable with its value;
    the settings put the words and their values into ``filled``. ``retired`` is the date after which the service no
    longer answers. ``order``: the lower, the earlier it is tried. ``free``: what it gives without payment, for people.

    ``dialect`` is how it is spoken to in chats, at ``base_url``. ``also`` has the other dialects it takes chats in,
    each with what stands between ``base_url`` and the dialect's own path (see ``joined``), ``other_prefix`` the same
    for its OpenAI-compatible endpoints other than chat. ``auth_header`` and ``auth_scheme`` are how its key is shown,
    ``also_auth`` where another dialect or (as ``openai``) the other endpoints want it differently. ``models_path``:
    where it lists its models, if not where its dialect does. ``query`` follows every path.

    ``known``: facts about its models from elsewhere, which fill in what nobody here says; ``probed``: what ``orcestator
    doctor --probe`` saw, which is believed before all else. The settings add both.
    """

    name: str
    title: str
    base_url: str
    base_url_env: str
    source: str
    order: int
    key_env: str = ""
    also_key_env: str = ""
    token_env: str = ""
    only_named: bool = False
    same_as: tuple[str, ...] = ()
    default_model: str = ""
    models: tuple[ModelFacts, ...] = ()
    known: tuple[ModelFacts, ...] = ()
    probed: tuple[ModelFacts, ...] = ()
    prefixes: tuple[str, ...] = ()
    endpoints: frozenset[str] = frozenset({CHAT})
    quirks: frozenset[str] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()
    dialect: str = "openai"
    also: tuple[tuple[str, str], ...] = ()
    other_prefix: str = ""
    auth_header: str = "Authorization"
    auth_scheme: str = "Bearer"
    also_auth: tuple[tuple[str, Auth], ...] = ()
    models_path: str = ""
    query: str = ""
    fills: tuple[tuple[str, str], ...] = ()
    filled: tuple[tuple[str, str], ...] = ()
    free: str = ""
    retired: str = ""
    checked: str = "2026-11"

    @property
    def is_local(self) -> bool:
        """Whether it is a server that somebody runs, and not a service with keys."""
        return not self.key_env and self.name != SANDBOX

    @property
    def dialects(self) -> tuple[str, ...]:
        """The dialects it takes chats in, the preferred one first."""
        return (self.dialect, *(name for name, _ in self.also))

    def prefix_of(self, dialect: str) -> str:
        """What stands between ``base_url`` and a dialect's path; "" for its own dialect and one it does not speak."""
        return "" if dialect == self.dialect else dict(self.also).get(dialect, "")

    def auth_of(self, dialect: str) -> Auth:
        """How its key is shown in a dialect."""
        return dict(self.also_auth).get(dialect) or Auth(self.auth_header, self.auth_scheme)

    def headers_of(self, dialect: str) -> tuple[tuple[str, str], ...]:
        """Its own headers and those without which the dialect does not go."""
        own = {name.lower() for name, _ in self.headers}
        needed = DIALECT_HEADERS.get(dialect, ())
        return (*self.headers, *((name, text) for name, text in needed if name.lower() not in own))

    def list_path(self) -> str:
        """Where its models are listed, to be joined to the path of ``base_url``; the key is shown as in its dialect."""
        return self.models_path or DIALECT_LISTS.get(self.dialect, "/models")


def joined(base_path: str, path: str) -> str:
    """A path under a base URL's path. Each ``/..`` that it begins with goes up by one segment."""
    while path.startswith("/.."):
        base_path, path = base_path.rpartition("/")[0], path[3:]
    return base_path + path


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
            ModelFacts("gpt-4o"),
            ModelFacts("gpt-4o-mini"),
            ModelFacts("gpt-5.5"),
        ),
        prefixes=(
            *("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "dall-e-", "whisper-", "tts-"),
            "omni-moderation-",
        ),
        # "Additional properties are not allowed" and "Unsupported parameter: 'max_tokens'": both seen in issue threads.
        quirks=frozenset({STRICT_BODY, NEW_MAX_TOKENS}),
        endpoints=ENDPOINTS,
        also=(("responses", ""),),
        source="https://platform.openai.com/docs/api-reference",
        order=10,
    ),
    Provider(
        name="anthropic",
        title="Anthropic",
        base_url="https://api.anthropic.com/v1",
        base_url_env="ANTHROPIC_BASE_URL",
        same_as=("https://api.anthropic.com",),
        key_env="ANTHROPIC_API_KEY",
        default_model="claude-sonnet-5-5",
        models=(ModelFacts("claude-sonnet-5-5"),),
        prefixes=("claude-",),
        dialect="anthropic",
        # The compatible endpoint leaves out caching and thinking: https://platform.claude.com/docs/en/api/openai-sdk.
        also=(("openai", ""),),
        headers=DIALECT_HEADERS["anthropic"],
        auth_header="x-api-key",
        auth_scheme="",
        also_auth=(("openai", BEARER),),
        source="https://platform.claude.com/docs/en/api/overview",
        order=20,
    ),
    Provider(
        name="gemini",
        title="Google Gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        base_url_env="GOOGLE_BASE_URL",
        same_as=(
            "https://generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com/v1",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        key_env="GOOGLE_API_KEY",
        also_key_env="GEMINI_API_KEY",
        default_model="gemini-3-flash-preview",
        models=(ModelFacts("gemini-3-flash-preview"),),
        prefixes=("gemini-",),
        endpoints=frozenset({CHAT, EMBEDDINGS, IMAGES}),
        dialect="gemini",
        also=(("openai", "/openai"),),
        other_prefix="/openai",
        auth_header="x-goog-api-key",
        auth_scheme="",
        also_auth=(("openai", BEARER),),
        free="A free tier for some models; its limits depend on the model and stand in AI Studio.",
        source="https://ai.google.dev/api",
        order=30,
    ),
    Provider(
        name="gemini-openai",
        title="Google Gemini (OpenAI-compatible endpoint)",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        base_url_env="GOOGLE_OPENAI_BASE_URL",
        key_env="GOOGLE_API_KEY",
        also_key_env="GEMINI_API_KEY",
        only_named=True,
        default_model="gemini-3-flash-preview",
        models=(ModelFacts("gemini-3-flash-preview"),),
        endpoints=frozenset({CHAT, EMBEDDINGS, IMAGES}),
        free="As Gemini.",
        source="https://ai.google.dev/gemini-api/docs/openai",
        order=35,
    ),
    Provider(
        name="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        base_url_env="XAI_BASE_URL",
        key_env="XAI_API_KEY",
        default_model="grok-4.3",
        models=(ModelFacts("grok-4.3"),),
        prefixes=("grok-",),
        endpoints=TEXT_ENDPOINTS | {IMAGES},
        also=(("responses", ""),),
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
        models=(ModelFacts("mistral-medium-latest"),),
        prefixes=("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "voxtral-", "open-mistral-"),
        endpoints=frozenset({CHAT, EMBEDDINGS, AUDIO, MODERATIONS}),
        # 422 "extra_forbidden": openai/openai-agents-python#442 and editor-code-assistant/eca#231. 400 "Tool call id
        # was … but must be a-z, A-Z, 0-9, with a length of 9": mistralai/mistral-vibe#1075.
        quirks=frozenset({NO_STREAM_OPTIONS, MAX_TOKENS_ONLY, STRICT_BODY, SHORT_TOOL_IDS}),
        free="An experiment plan; its limits are not published.",
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
            ModelFacts("deepseek-flash"),
            ModelFacts("deepseek-v4-pro"),
        ),
        prefixes=("deepseek-",),
        # 400 "must be passed back": https://api-docs.deepseek.com/guides/thinking_mode; 400 "unknown variant
        # `developer`": theopenco/llmgateway#3462.
        quirks=frozenset({REASONING_BACK, NO_DEVELOPER_ROLE}),
        # https://api-docs.deepseek.com/guides/anthropic_api
        also=(("anthropic", "/anthropic/v1"),),
        also_auth=(("anthropic", X_API_KEY),),
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
            ModelFacts("openai/gpt-oss-120b"),
            ModelFacts("openai/gpt-oss-20b"),
        ),
        endpoints=frozenset({CHAT, AUDIO}),
        also=(("responses", ""),),
        free="Per model, gpt-oss-120b: 30 requests a minute, 1000 a day.",
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
        models=(ModelFacts("gpt-oss-120b"),),
        endpoints=frozenset({CHAT, COMPLETIONS}),
        quirks=frozenset({NO_DEVELOPER_ROLE}),
        free="A trial: 5 requests a minute, a million tokens a day for each model.",
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
        default_model="openai/gpt-oss-120b",
        models=(ModelFacts("openai/gpt-oss-120b", 131_072, None, _REASONING, ("text",)),),
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
        default_model="accounts/fireworks/models/gpt-oss-20b",
        models=(ModelFacts("accounts/fireworks/models/gpt-oss-20b", None, None, _REASONING, ("text",)),),
        prefixes=("accounts/",),
        endpoints=TEXT_ENDPOINTS,
        free="10 requests a minute without a payment method; a small starting credit.",
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
        free="For trying out: 40 requests a minute.",
        source="https://docs.api.nvidia.com/nim/reference/llm-apis",
        order=110,
    ),
    Provider(
        name="yandex",
        title="Yandex AI Studio (OpenAI-compatible endpoint)",
        base_url="https://ai.api.cloud.yandex.net/v1",
        base_url_env="YANDEX_BASE_URL",
        key_env="YANDEX_API_KEY",
        token_env="YANDEX_IAM_TOKEN",
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
        name="yandex-native",
        title="Yandex AI Studio (its own API)",
        base_url="https://llm.api.cloud.yandex.net",
        base_url_env="YANDEX_NATIVE_BASE_URL",
        key_env="YANDEX_API_KEY",
        token_env="YANDEX_IAM_TOKEN",
        only_named=True,
        default_model="gpt://{folder}/yandexgpt/latest",
        models=(ModelFacts("gpt://{folder}/yandexgpt/latest", None, None, ("tools",), ("text",)),),
        headers=(("x-folder-id", "{folder}"),),
        fills=(("folder", "YANDEX_FOLDER_ID"),),
        quirks=frozenset({NO_MODELS_LIST}),
        dialect="yandex",
        auth_scheme="Api-Key",
        source="https://yandex.cloud/en/docs/ai-studio/api-ref/authentication",
        order=125,
    ),
    Provider(
        name="github",
        title="GitHub Models",
        base_url="https://models.github.ai/inference",
        base_url_env="GITHUB_MODELS_BASE_URL",
        key_env="GITHUB_TOKEN",
        only_named=True,
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
        name="cohere",
        title="Cohere",
        base_url="https://api.cohere.ai/compatibility/v1",
        base_url_env="COHERE_BASE_URL",
        key_env="COHERE_API_KEY",
        also_key_env="CO_API_KEY",
        same_as=("https://api.cohere.com", "https://api.cohere.ai", "https://api.cohere.com/v2"),
        default_model="command-a-03-2025",
        models=(ModelFacts("command-a-03-2025"),),
        prefixes=("command-",),
        endpoints=frozenset({CHAT, EMBEDDINGS}),
        quirks=frozenset({NO_STREAM_OPTIONS}),
        also=(("cohere", "/../../v2"),),
        models_path="/../../v1/models?page_size=1000&endpoint=chat",
        free="Trial keys: 20 requests a minute, 1000 a month; not for production.",
        source="https://docs.cohere.com/docs/compatibility-api",
        order=131,
    ),
    Provider(
        name="cohere-native",
        title="Cohere (its own API)",
        base_url="https://api.cohere.com/v2",
        base_url_env="COHERE_NATIVE_BASE_URL",
        key_env="COHERE_API_KEY",
        also_key_env="CO_API_KEY",
        only_named=True,
        default_model="command-a-03-2025",
        models=(ModelFacts("command-a-03-2025"),),
        dialect="cohere",
        free="As Cohere.",
        source="https://docs.cohere.com/reference/chat",
        order=132,
    ),
    Provider(
        name="perplexity",
        title="Perplexity",
        base_url="https://api.perplexity.ai/v1",
        base_url_env="PERPLEXITY_BASE_URL",
        key_env="PERPLEXITY_API_KEY",
        same_as=("https://api.perplexity.ai",),
        default_model="perplexity/sonar",
        models=(ModelFacts("perplexity/sonar"),),
        dialect="responses",
        prefixes=("perplexity/",),
        source="https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/overview",
        order=133,
    ),
    Provider(
        name="sambanova",
        title="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        base_url_env="SAMBANOVA_BASE_URL",
        key_env="SAMBANOVA_API_KEY",
        default_model="Meta-Llama-3.3-70B-Instruct",
        models=(ModelFacts("Meta-Llama-3.3-70B-Instruct"),),
        free="20 requests and 200 000 tokens a day for each model.",
        source="https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        order=134,
    ),
    Provider(
        name="huggingface",
        title="Hugging Face (Inference Providers)",
        base_url="https://router.huggingface.co/v1",
        base_url_env="HF_BASE_URL",
        key_env="HF_TOKEN",
        only_named=True,
        default_model="openai/gpt-oss-120b",
        models=(ModelFacts("openai/gpt-oss-120b"),),
        free="Credits of $0.10 a month.",
        source="https://huggingface.co/docs/inference-providers",
        order=135,
    ),
    Provider(
        name="cloudflare",
        title="Cloudflare Workers AI",
        base_url="https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        base_url_env="CLOUDFLARE_BASE_URL",
        key_env="CLOUDFLARE_API_KEY",
        only_named=True,
        default_model="@cf/openai/gpt-oss-120b",
        models=(ModelFacts("@cf/openai/gpt-oss-120b"),),
        prefixes=("@cf/",),
        endpoints=frozenset({CHAT, EMBEDDINGS}),
        also=(("responses", ""),),
        quirks=frozenset({NO_MODELS_LIST}),
        fills=(("account", "CLOUDFLARE_ACCOUNT_ID"),),
        free="10 000 neurons a day.",
        source="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
        order=136,
    ),
    Provider(
        name="moonshot",
        title="Moonshot AI (Kimi)",
        base_url="https://api.moonshot.ai/v1",
        base_url_env="MOONSHOT_BASE_URL",
        key_env="MOONSHOT_API_KEY",
        default_model="kimi-k3",
        models=(ModelFacts("kimi-k3"),),
        prefixes=("kimi-", "moonshot-"),
        # 400 "reasoning_content is missing in assistant tool call message", "role 'developer' is not allowed":
        # https://platform.kimi.ai/docs/guide/use-thinking-models, earendil-works/pi#8109.
        quirks=frozenset({REASONING_BACK, NO_DEVELOPER_ROLE}),
        also=(("anthropic", "/../anthropic/v1"),),
        source="https://platform.kimi.ai/docs/overview",
        order=137,
    ),
    Provider(
        name="zai",
        title="Z.ai (GLM)",
        base_url="https://api.z.ai/api/paas/v4",
        base_url_env="ZAI_BASE_URL",
        key_env="ZAI_API_KEY",
        also_key_env="ZHIPU_API_KEY",
        default_model="glm-5.3",
        models=(ModelFacts("glm-5.3"),),
        prefixes=("glm-",),
        # 400 [1214] "Incorrect role information": vastsa/PI-Desktop#30.
        quirks=frozenset({NO_DEVELOPER_ROLE}),
        also=(("anthropic", "/../../anthropic/v1"),),
        free="The models glm-4.7-flash and glm-4.5-flash.",
        source="https://docs.z.ai/api-reference/introduction",
        order=138,
    ),
    Provider(
        name="dashscope",
        title="Alibaba Cloud Model Studio (Qwen)",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        base_url_env="DASHSCOPE_BASE_URL",
        key_env="DASHSCOPE_API_KEY",
        default_model="qwen3.8-max",
        models=(ModelFacts("qwen3.8-max"),),
        prefixes=("qwen", "qwq-"),
        # 400 "developer is not one of ['system', …": OpenCoworkAI/open-codesign#183.
        quirks=frozenset({NO_DEVELOPER_ROLE}),
        also=(("anthropic", "/../../apps/anthropic/v1"),),
        also_auth=(("anthropic", X_API_KEY),),
        free="A starting quota of a million tokens for each model.",
        source="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        order=139,
    ),
    Provider(
        name="minimax",
        title="MiniMax",
        base_url="https://api.minimax.io/v1",
        base_url_env="MINIMAX_BASE_URL",
        key_env="MINIMAX_API_KEY",
        default_model="MiniMax-M3",
        models=(ModelFacts("MiniMax-M3"),),
        prefixes=("MiniMax-",),
        also=(("anthropic", "/../anthropic/v1"),),
        also_auth=(("anthropic", X_API_KEY),),
        source="https://platform.minimax.io/docs/api-reference/text-openai-api",
        order=140,
    ),
    Provider(
        name="deepinfra",
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        base_url_env="DEEPINFRA_BASE_URL",
        key_env="DEEPINFRA_API_KEY",
        also_key_env="DEEPINFRA_TOKEN",
        default_model="openai/gpt-oss-120b",
        models=(ModelFacts("openai/gpt-oss-120b"),),
        endpoints=TEXT_ENDPOINTS,
        source="https://deepinfra.com/docs/advanced/openai_api",
        order=141,
    ),
    Provider(
        name="nebius",
        title="Nebius Token Factory",
        base_url="https://api.tokenfactory.nebius.com/v1",
        base_url_env="NEBIUS_BASE_URL",
        key_env="NEBIUS_API_KEY",
        default_model="openai/gpt-oss-120b",
        models=(ModelFacts("openai/gpt-oss-120b"),),
        endpoints=frozenset({CHAT, EMBEDDINGS}),
        source="https://docs.tokenfactory.nebius.com/api-reference/introduction",
        order=142,
    ),
    Provider(
        name="novita",
        title="Novita AI",
        base_url="https://api.novita.ai/openai/v1",
        base_url_env="NOVITA_BASE_URL",
        key_env="NOVITA_API_KEY",
        default_model="zai-org/glm-5",
        models=(ModelFacts("zai-org/glm-5"),),
        endpoints=frozenset({CHAT, COMPLETIONS, EMBEDDINGS}),
        source="https://novita.ai/docs/guides/llm-api",
        order=143,
    ),
    Provider(
        name="scaleway",
        title="Scaleway Generative APIs",
        base_url="https://api.scaleway.ai/v1",
        base_url_env="SCALEWAY_BASE_URL",
        key_env="SCW_SECRET_KEY",
        only_named=True,
        default_model="mistral-small-3.2-24b-instruct-2506",
        models=(ModelFacts("mistral-small-3.2-24b-instruct-2506"),),
        endpoints=frozenset({CHAT, EMBEDDINGS, AUDIO}),
        also=(("responses", ""),),
        free="A million tokens to begin with.",
        source="https://www.scaleway.com/en/docs/generative-apis/api-cli/using-generative-apis/",
        order=144,
    ),
    Provider(
        name="ovhcloud",
        title="OVHcloud AI Endpoints",
        base_url="https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        base_url_env="OVHCLOUD_BASE_URL",
        key_env="OVHCLOUD_API_KEY",
        also_key_env="OVH_AI_ENDPOINTS_ACCESS_TOKEN",
        default_model="gpt-oss-120b",
        models=(ModelFacts("gpt-oss-120b"),),
        free="Some models in small amounts, even without a key.",
        source="https://endpoints.ai.cloud.ovh.net",
        order=145,
    ),
    Provider(
        name="siliconflow",
        title="SiliconFlow",
        base_url="https://api.siliconflow.com/v1",
        base_url_env="SILICONFLOW_BASE_URL",
        key_env="SILICONFLOW_API_KEY",
        default_model="deepseek-ai/DeepSeek-V4-Flash",
        models=(ModelFacts("deepseek-ai/DeepSeek-V4-Flash"),),
        free="A starting credit of $1.",
        source="https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        order=146,
    ),
    Provider(
        name="stepfun",
        title="StepFun",
        base_url="https://api.stepfun.ai/v1",
        base_url_env="STEPFUN_BASE_URL",
        key_env="STEPFUN_API_KEY",
        also_key_env="STEP_API_KEY",
        default_model="step-3.7-flash",
        models=(ModelFacts("step-3.7-flash"),),
        prefixes=("step-",),
        source="https://platform.stepfun.ai/docs/en/guides/developer/openai.md",
        order=147,
    ),
    Provider(
        name="inception",
        title="Inception",
        base_url="https://api.inceptionlabs.ai/v1",
        base_url_env="INCEPTION_BASE_URL",
        key_env="INCEPTION_API_KEY",
        default_model="mercury-2",
        models=(ModelFacts("mercury-2"),),
        prefixes=("mercury-",),
        source="https://docs.inceptionlabs.ai",
        order=148,
    ),
    Provider(
        name="azure",
        title="Azure OpenAI",
        base_url="https://{resource}.openai.azure.com/openai/v1",
        base_url_env="AZURE_OPENAI_ENDPOINT",
        key_env="AZURE_OPENAI_API_KEY",
        token_env="AZURE_OPENAI_AD_TOKEN",
        # Models are called by the names of one's own deployments; its list has all that could be deployed.
        quirks=frozenset({NO_MODELS_LIST, STRICT_BODY, NEW_MAX_TOKENS}),
        endpoints=frozenset({CHAT, EMBEDDINGS, IMAGES, AUDIO}),
        also=(("responses", ""),),
        auth_header="api-key",
        auth_scheme="",
        fills=(("resource", "AZURE_RESOURCE_NAME"),),
        source="https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle",
        order=149,
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
        # https://openrouter.ai/docs/use-cases/reasoning-tokens
        quirks=frozenset({DETAILS_BACK}),
        also=(("responses", ""), ("anthropic", "")),
        free="Models whose names end in `:free`: 20 requests a minute, 50 a day (1000 once $10 were paid).",
        source="https://openrouter.ai/docs/api-reference/overview",
        order=200,
    ),
    Provider(
        name="vercel",
        title="Vercel AI Gateway",
        base_url="https://ai-gateway.vercel.sh/v1",
        base_url_env="AI_GATEWAY_BASE_URL",
        key_env="AI_GATEWAY_API_KEY",
        default_model="openai/gpt-4o",
        models=(ModelFacts("openai/gpt-4o"),),
        endpoints=frozenset({CHAT, EMBEDDINGS}),
        also=(("responses", ""), ("anthropic", "")),
        free="Credits of $5 a month for some of the models.",
        source="https://vercel.com/docs/ai-gateway",
        order=205,
    ),
    Provider(
        name="ollama-cloud",
        title="Ollama Cloud",
        base_url="https://ollama.com/v1",
        base_url_env="OLLAMA_CLOUD_BASE_URL",
        key_env="OLLAMA_API_KEY",
        default_model="gpt-oss:120b",
        models=(ModelFacts("gpt-oss:120b"),),
        also=(("ollama", "/.."), ("responses", ""), ("anthropic", "")),
        free="With an account; its limits are not published.",
        source="https://docs.ollama.com/cloud",
        order=207,
    ),
    Provider(
        name="ollama",
        title="Ollama",
        base_url="http://localhost:11434/v1",
        base_url_env="OLLAMA_BASE_URL",
        endpoints=TEXT_ENDPOINTS,
        also=(("ollama", "/.."), ("responses", ""), ("anthropic", "")),
        source="https://docs.ollama.com/api/openai-compatibility",
        order=300,
    ),
    Provider(
        name="lmstudio",
        title="LM Studio",
        base_url="http://localhost:1234/v1",
        base_url_env="LMSTUDIO_BASE_URL",
        endpoints=TEXT_ENDPOINTS,
        also=(("responses", ""), ("anthropic", "")),
        source="https://lmstudio.ai/docs/developer/openai-compat",
        order=310,
    ),
    Provider(
        name="vllm",
        title="vLLM",
        base_url="http://localhost:8000/v1",
        base_url_env="VLLM_BASE_URL",
        endpoints=frozenset({CHAT, COMPLETIONS, EMBEDDINGS, AUDIO}),
        also=(("responses", ""), ("anthropic", "")),
        source="https://docs.vllm.ai/en/stable/serving/online_serving.html",
        order=320,
    ),
    Provider(
        name="llamacpp",
        title="llama.cpp server",
        base_url="http://localhost:8080/v1",
        base_url_env="LLAMACPP_BASE_URL",
        endpoints=TEXT_ENDPOINTS,
        also=(("anthropic", ""),),
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
