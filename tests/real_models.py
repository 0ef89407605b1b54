"""Models nobody here wrote: the families of Hugging Face `transformers` in small, and torch's own, as they come.

``ZOO`` maps a name to a function without arguments that returns ``(model, batch, loss_fn)``, the three that
``vg.diagnose`` takes: a dict of inputs and labels with ``loss_fn=None`` where the model computes ``output.loss``
itself, else ``(inputs, target)``. Weights are what the constructor draws, from a seed of their own; the global
generator is left as it was. Nothing is downloaded. A model is narrow (24 to 64 units, in convnets 8 to 64 channels)
and has the number of layers its family usually has, up to 12.
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

BATCH, TOKENS, VOCABULARY, CLASSES, PIXELS = 8, 16, 99, 5, 64
WIDTH, HEADS, LAYERS = 32, 4, 12


# Inputs, each a function of a generator. Token ids start at 4: below are the families' special ones.


def _ids(draw, tokens=TOKENS):
    return torch.randint(4, VOCABULARY, (BATCH, tokens), generator=draw)


def _classes(draw, *shape):
    return torch.randint(CLASSES, (BATCH, *shape), generator=draw)


def _frames(draw, *shape):
    return torch.randn(BATCH, *shape, generator=draw)


def language(draw):
    ids = _ids(draw)
    return {"input_ids": ids, "labels": ids}


def sentence(draw):
    return {"input_ids": _ids(draw), "labels": _classes(draw)}


def translation(draw):
    return {"input_ids": _ids(draw), "labels": _ids(draw, 8)}


def image(draw):
    return {"pixel_values": _frames(draw, 3, PIXELS, PIXELS), "labels": _classes(draw)}


def segmentation(draw):
    return {"pixel_values": _frames(draw, 3, PIXELS, PIXELS), "labels": _classes(draw, PIXELS, PIXELS)}


def sound(draw):
    return {"input_values": _frames(draw, 1600), "labels": _classes(draw)}


def spectrogram(draw):
    return {"input_features": _frames(draw, 16, 48), "labels": _ids(draw, 8)}


def picture_and_caption(draw):
    return {"pixel_values": _frames(draw, 3, PIXELS, PIXELS), "input_ids": _ids(draw), "return_loss": True}


def series(draw):
    return {"past_values": _frames(draw, 24, 2), "target_values": _classes(draw)}


# Sizes that many families name alike.

BODY = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
PLAIN = {**BODY, "intermediate_size": 4 * WIDTH}
TEXT = {**PLAIN, "vocab_size": VOCABULARY, "max_position_embeddings": 64}
LLAMA = {**TEXT, "num_key_value_heads": 2, "head_dim": WIDTH // HEADS}
LLAMA |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
VISION = {**PLAIN, "image_size": PIXELS, "patch_size": 16}
CODER = {"d_model": WIDTH, "encoder_layers": 6, "decoder_layers": 6, "decoder_start_token_id": 2}
CODER |= {"encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS}
CODER |= {"encoder_ffn_dim": 4 * WIDTH, "decoder_ffn_dim": 4 * WIDTH, "vocab_size": VOCABULARY}
CODER |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "forced_eos_token_id": 2}
AUDIO = {**PLAIN, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
AUDIO |= {"classifier_proj_size": WIDTH, "apply_spec_augment": False}  # which draws from numpy's generator
STAGES = {"hidden_sizes": [16, 24, 32, 64]}
CLIP_PARTS = {
    "text_config": {**PLAIN, "vocab_size": VOCABULARY, "num_hidden_layers": 8, "bos_token_id": 1, "eos_token_id": 2},
    "vision_config": {**VISION, "num_hidden_layers": 8},
}

# name: class in transformers, inputs, what its config says other than by default
FAMILIES = {
    # decoders, pre-norm
    "gpt2": ("GPT2LMHeadModel", language, {**BODY, "vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2}),
    "gpt2_48_layers": (
        "GPT2LMHeadModel",
        language,
        {**BODY, "num_hidden_layers": 48, "vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2},
    ),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        language,
        {"hidden_size": WIDTH, "num_layers": LAYERS, "num_heads": HEADS, "vocab_size": VOCABULARY, "window_size": 4}
        | {"attention_types": [[["global", "local"], LAYERS // 2]], "bos_token_id": 1, "eos_token_id": 2},
    ),
    "gpt_neox": ("GPTNeoXForCausalLM", language, {**TEXT, "num_hidden_layers": 24, "bos_token_id": 1}),
    "gptj": (
        "GPTJForCausalLM",
        language,
        {**BODY, "vocab_size": VOCABULARY, "rotary_dim": 4, "bos_token_id": 1, "eos_token_id": 2},
    ),
    "opt": ("OPTForCausalLM", language, {**TEXT, "ffn_dim": 4 * WIDTH, "word_embed_proj_dim": WIDTH}),
    "bloom": ("BloomForCausalLM", language, {**BODY, "vocab_size": VOCABULARY}),
    "falcon": ("FalconForCausalLM", language, {**TEXT, "bos_token_id": 1, "eos_token_id": 2}),
    "phi": ("PhiForCausalLM", language, {**TEXT, "num_hidden_layers": 24, "bos_token_id": 1, "eos_token_id": 2}),
    "llama": ("LlamaForCausalLM", language, {**LLAMA, "num_hidden_layers": 32}),
    "mistral": ("MistralForCausalLM", language, {**LLAMA, "num_hidden_layers": 32}),
    "qwen2": ("Qwen2ForCausalLM", language, {**LLAMA, "num_hidden_layers": 24}),
    "qwen3": ("Qwen3ForCausalLM", language, {**LLAMA, "num_hidden_layers": 28}),
    "gemma": ("GemmaForCausalLM", language, {**LLAMA, "num_hidden_layers": 18}),
    "gemma2": ("Gemma2ForCausalLM", language, {**LLAMA, "num_hidden_layers": 26}),
    "olmo2": ("Olmo2ForCausalLM", language, {**LLAMA, "num_hidden_layers": 16}),
    "mixtral": ("MixtralForCausalLM", language, {**LLAMA, "num_hidden_layers": 6, "num_local_experts": 4}),
    "cohere": ("CohereForCausalLM", language, LLAMA),
    "starcoder2": ("Starcoder2ForCausalLM", language, LLAMA),
    "granite": ("GraniteForCausalLM", language, LLAMA),
    "gpt_oss": ("GptOssForCausalLM", language, {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "ctrl": ("CTRLLMHeadModel", language, {**BODY, "vocab_size": VOCABULARY, "dff": 4 * WIDTH}),
    # encoders, post-norm
    "bert": ("BertForMaskedLM", language, TEXT),
    "bert_sentence": ("BertForSequenceClassification", sentence, {**TEXT, "num_labels": CLASSES}),
    "roberta": ("RobertaForMaskedLM", language, TEXT),
    "distilbert": (
        "DistilBertForMaskedLM",
        language,
        {"dim": WIDTH, "n_layers": 6, "n_heads": HEADS, "hidden_dim": 4 * WIDTH, "vocab_size": VOCABULARY},
    ),
    "albert": ("AlbertForMaskedLM", language, {**TEXT, "embedding_size": 16}),
    "electra": ("ElectraForMaskedLM", language, {**TEXT, "embedding_size": 16}),
    "deberta_v2": (
        "DebertaV2ForMaskedLM",
        language,
        {**TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm"}
        | {"position_buckets": 8, "share_att_key": True, "position_biased_input": False},
    ),
    "mpnet": ("MPNetForMaskedLM", language, TEXT),
    "modernbert": (
        "ModernBertForMaskedLM",
        language,
        {**LLAMA, "num_hidden_layers": 22, "local_attention": 8, "cls_token_id": 1, "sep_token_id": 2},
    ),
    "roformer": ("RoFormerForMaskedLM", language, TEXT),
    "fnet": ("FNetForMaskedLM", language, TEXT),
    "funnel": (
        "FunnelForSequenceClassification",
        sentence,
        {"vocab_size": VOCABULARY, "d_model": WIDTH, "n_head": HEADS, "d_head": 8, "d_inner": 4 * WIDTH}
        | {"block_sizes": [4, 4, 4], "num_labels": CLASSES, "pad_token_id": 0},
    ),
    "xlnet": (
        "XLNetLMHeadModel",
        language,
        {"vocab_size": VOCABULARY, "d_model": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "d_head": 8}
        | {"d_inner": 4 * WIDTH, "pad_token_id": 0},
    ),
    "reformer": (
        "ReformerForSequenceClassification",
        sentence,
        {**TEXT, "attention_head_size": 8, "feed_forward_size": 4 * WIDTH, "attn_layers": ["local", "lsh"] * 3}
        | {
            "axial_pos_shape": [4, TOKENS // 4],
            "axial_pos_embds_dim": [8, 24],
            "local_attn_chunk_length": 4,
            "hash_seed": 0,
        }
        | {"lsh_attn_chunk_length": 4, "num_labels": CLASSES, "num_buckets": 2, "num_hidden_layers": 6},
    ),
    "perceiver": (
        "PerceiverForSequenceClassification",
        sentence,
        {"num_latents": 8, "d_latents": WIDTH, "d_model": WIDTH, "num_self_attends_per_block": LAYERS}
        | {"num_self_attention_heads": HEADS, "num_cross_attention_heads": HEADS, "vocab_size": VOCABULARY}
        | {"max_position_embeddings": 16, "num_labels": CLASSES},
    ),
    # encoder and decoder
    "t5": (
        "T5ForConditionalGeneration",
        translation,
        {"d_model": WIDTH, "d_kv": 8, "d_ff": 4 * WIDTH, "num_layers": 6, "num_heads": HEADS}
        | {"vocab_size": VOCABULARY, "decoder_start_token_id": 0},
    ),
    "bart": ("BartForConditionalGeneration", translation, CODER),
    "pegasus": ("PegasusForConditionalGeneration", translation, CODER),
    "marian": ("MarianMTModel", translation, {**CODER, "decoder_vocab_size": VOCABULARY}),
    "whisper": (
        "WhisperForConditionalGeneration",
        spectrogram,
        {**CODER, "num_mel_bins": 16, "max_source_positions": 24, "max_target_positions": 16}
        | {"suppress_tokens": None, "begin_suppress_tokens": None},
    ),
    # state spaces
    "mamba": (
        "MambaForCausalLM",
        language,
        {**BODY, "num_hidden_layers": 24, "vocab_size": VOCABULARY, "state_size": 8, "time_step_rank": 4},
    ),
    "rwkv": (
        "RwkvForCausalLM",
        language,
        {"hidden_size": WIDTH, "attention_hidden_size": WIDTH, "num_hidden_layers": LAYERS, "vocab_size": VOCABULARY}
        | {"intermediate_size": 4 * WIDTH, "context_length": 64},
    ),
    # sound, images, series
    "wav2vec2": ("Wav2Vec2ForSequenceClassification", sound, {**AUDIO, "num_labels": CLASSES}),
    "hubert": ("HubertForSequenceClassification", sound, {**AUDIO, "num_labels": CLASSES}),
    "wavlm": ("WavLMForSequenceClassification", sound, {**AUDIO, "num_labels": CLASSES}),
    "vit": ("ViTForImageClassification", image, {**VISION, "num_labels": CLASSES}),
    "deit": ("DeiTForImageClassification", image, {**VISION, "num_labels": CLASSES}),
    "beit": ("BeitForImageClassification", image, {**VISION, "num_labels": CLASSES}),
    "dinov2": ("Dinov2ForImageClassification", image, {**VISION, "num_labels": CLASSES}),
    "swin": (
        "SwinForImageClassification",
        image,
        {"image_size": PIXELS, "patch_size": 2, "embed_dim": 16, "num_heads": [2, 2, 4, 4], "window_size": 4}
        | {"num_labels": CLASSES},
    ),
    "segformer": (
        "SegformerForSemanticSegmentation",
        segmentation,
        {**STAGES, "num_attention_heads": [1, 2, 2, 4], "decoder_hidden_size": WIDTH, "num_labels": CLASSES},
    ),
    "poolformer": ("PoolFormerForImageClassification", image, {**STAGES, "num_labels": CLASSES}),
    "convnext": ("ConvNextForImageClassification", image, {**STAGES, "num_labels": CLASSES}),
    "convnextv2": ("ConvNextV2ForImageClassification", image, {**STAGES, "num_labels": CLASSES}),
    "resnet": ("ResNetForImageClassification", image, {**STAGES, "embedding_size": 16, "num_labels": CLASSES}),
    "resnet_basic": (
        "ResNetForImageClassification",
        image,
        {**STAGES, "embedding_size": 16, "depths": [2, 2, 2, 2], "layer_type": "basic", "num_labels": CLASSES},
    ),
    "regnet": (
        "RegNetForImageClassification",
        image,
        {**STAGES, "hidden_sizes": [16, 24, 32, 64], "embedding_size": 16, "groups_width": 8, "depths": [2, 3, 6, 2]}
        | {"num_labels": CLASSES},
    ),
    "efficientnet": (
        "EfficientNetForImageClassification",
        image,
        {
            "image_size": PIXELS,
            "width_coefficient": 0.25,
            "depth_coefficient": 1.0,
            "hidden_dim": 320,
            "num_labels": CLASSES,
        },
    ),
    "mobilenet_v2": (
        "MobileNetV2ForImageClassification",
        image,
        {"image_size": PIXELS, "depth_multiplier": 0.35, "num_labels": CLASSES},
    ),
    "levit": (
        "LevitForImageClassification",
        image,
        {"image_size": PIXELS, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 3, 4], "key_dim": [8, 8, 8]}
        | {"down_ops": [["Subsample", 8, 2, 4, 2, 2], ["Subsample", 8, 3, 4, 2, 2]], "num_labels": CLASSES},
    ),
    "mobilevit": (
        "MobileViTForImageClassification",
        image,
        {"image_size": PIXELS, "hidden_sizes": [24, 32, 40], "neck_hidden_sizes": [8, 16, 24, 32, 40, 48, 64]}
        | {"num_labels": CLASSES},
    ),
    "focalnet": (
        "FocalNetForImageClassification",
        image,
        {"image_size": PIXELS, "embed_dim": 16, "num_labels": CLASSES},
    ),
    "clip": ("CLIPModel", picture_and_caption, {**CLIP_PARTS, "projection_dim": 16}),
    "patchtst": (
        "PatchTSTForClassification",
        series,
        {"num_input_channels": 2, "context_length": 24, "patch_length": 4, "patch_stride": 4, "num_hidden_layers": 6}
        | {"d_model": WIDTH, "num_attention_heads": HEADS, "ffn_dim": 4 * WIDTH, "num_targets": CLASSES},
    ),
}


def family(name):
    """A family's model as its config builds it, and inputs with labels: the loss is the model's own."""
    import transformers

    head, inputs, settings = FAMILIES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = getattr(transformers, head)
        model = head(head.config_class(**settings))
    return model.train(), inputs(torch.Generator().manual_seed(0)), None


# torch.nn's own, between an embedding or nothing and a linear head


class TorchTransformer(nn.Module):
    """`torch.nn.Transformer` on word vectors; ``batch = ((source, target so far), next words)``."""

    def __init__(self, **settings):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.body = nn.Transformer(WIDTH, HEADS, dim_feedforward=4 * WIDTH, batch_first=True, **settings)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.head(self.body(self.embed(source), self.embed(target), tgt_mask=mask))


class TorchEncoder(nn.Module):
    """`torch.nn.TransformerEncoder`, its outputs averaged over the positions."""

    def __init__(self, layers=LAYERS, *, norm_first):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            *(WIDTH, HEADS, 4 * WIDTH), activation="gelu", batch_first=True, norm_first=norm_first
        )
        last = nn.LayerNorm(WIDTH) if norm_first else None
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.body = nn.TransformerEncoder(layer, layers, norm=last, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, ids):
        return self.head(self.body(self.embed(ids)).mean(1))


class TorchAttention(nn.Module):
    """Six blocks of `torch.nn.MultiheadAttention` with a residual addition and a norm behind each."""

    def __init__(self, blocks=6):
        super().__init__()
        self.blocks = nn.ModuleList(nn.MultiheadAttention(WIDTH, HEADS, batch_first=True) for _ in range(blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(blocks))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = norm(x + block(x, x, x)[0])
        return self.head(x.mean(1))


class TorchRecurrent(nn.Module):
    """A recurrent stack of torch's that names a class at each step."""

    def __init__(self, stack, **settings):
        super().__init__()
        self.body = stack(8, WIDTH, batch_first=True, **settings)
        self.head = nn.Linear(WIDTH * (1 + self.body.bidirectional), CLASSES)

    def forward(self, x):
        return self.head(self.body(x)[0])


def next_word(draw):
    target = _ids(draw)
    return (_ids(draw), target[:, :-1]), target[:, 1:]


def words(draw):
    return _ids(draw), _classes(draw)


def vectors(draw):
    return _frames(draw, TOKENS, WIDTH), _classes(draw)


def tagged(draw):
    return _frames(draw, TOKENS, 8), _classes(draw, TOKENS)


# name: constructor, inputs
TORCH = {
    "torch_transformer": (TorchTransformer, next_word),
    "torch_transformer_pre_norm": (partial(TorchTransformer, norm_first=True, activation="gelu"), next_word),
    "torch_encoder_post_norm": (partial(TorchEncoder, norm_first=False), words),
    "torch_encoder_pre_norm": (partial(TorchEncoder, norm_first=True), words),
    "torch_attention": (TorchAttention, vectors),
    "torch_rnn": (partial(TorchRecurrent, nn.RNN, num_layers=2), tagged),
    "torch_gru": (partial(TorchRecurrent, nn.GRU, num_layers=2, dropout=0.1), tagged),
    "torch_lstm": (partial(TorchRecurrent, nn.LSTM, num_layers=2, bidirectional=True), tagged),
}


def cross_entropy(output, target):
    """Mean cross-entropy with the classes on the output's last axis: (..., classes) and (...)."""
    return F.cross_entropy(output.flatten(0, -2), target.flatten())


def torchs_own(name):
    """A model of torch's own layers, with inputs and a target for the loss."""
    build, inputs = TORCH[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build()
    return model.train(), inputs(torch.Generator().manual_seed(0)), cross_entropy


ZOO = {name: partial(family, name) for name in FAMILIES} | {name: partial(torchs_own, name) for name in TORCH}


def run(model, batch, loss_fn):
    """One forward pass, `batch` and `loss_fn` as `vg.diagnose` takes them: the loss and the model's output."""
    inputs, target = (batch, None) if isinstance(batch, dict) else batch
    if isinstance(inputs, dict):
        output = model(**inputs)
    else:
        output = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    return output.loss if loss_fn is None else loss_fn(output, target), output
