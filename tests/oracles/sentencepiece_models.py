"""Trains the small SentencePiece models of the tests and writes the ids that the SentencePiece library gives (Debian's 0.1.97).

usage: python3 sentencepiece_models.py FOLDER; corpus.mjs supplies the texts through node.
"""
import json
import os
import subprocess
import sys
import tempfile

import sentencepiece

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = sys.argv[1]
SCRIPT = "import {corpus} from '%s/corpus.mjs'; console.log(JSON.stringify(corpus(11, 900, ['<s>', '<tool>', '\\n\\n']).map(t => t.toWellFormed())))" % HERE
TEXTS = json.loads(subprocess.check_output(["node", "--input-type=module", "-e", SCRIPT]))
# Control pieces written in a text are text to the library and a token to us; zero bytes end its keys.
CASES = [text for text in TEXTS if len(text) < 70 and "<s>" not in text and "\0" not in text][:200]
LETTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;:!?()[]{}<>/=+*-_'\"\u00e9\u00fc\u4e2d\U0001f600")
RULES = [("A", "a"), ("\u00c9", "\u00e9"), ("e\u0301", "\u00e9"), ("\n", " "), ("\u3000", " "), ("\u200b", ""), ("\ufb01", "fi"), ("...", "\u2026")]
MODELS = {
    "bpe": dict(model_type="bpe", vocab_size=420, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False),
    "bpe_symbols": dict(model_type="bpe", vocab_size=420, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                        add_dummy_prefix=False, user_defined_symbols=["<tool>", "\n\n", "\u2581\u2581"]),
    "bpe_unknown": dict(model_type="bpe", vocab_size=160, normalization_rule_name="identity"),
    "unigram": dict(model_type="unigram", vocab_size=190, normalization_rule_tsv="rules.tsv"),
    "unigram_bytes": dict(model_type="unigram", vocab_size=430, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                          user_defined_symbols=["<tool>", "\n\n"]),
}

with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    with open("text", "w", encoding="utf-8") as out:
        for text in TEXTS:
            # Few letters, so that most of the world's are unknown to the models.
            out.writelines(line + "\n" for line in text.splitlines() if set(line) <= LETTERS)
    with open("rules.tsv", "w", encoding="utf-8") as out:
        for source, target in RULES:
            out.write(" ".join("%X" % ord(c) for c in source) + "\t" + " ".join("%X" % ord(c) for c in target) + "\n")
    for name, options in MODELS.items():
        sentencepiece.SentencePieceTrainer.train(input="text", model_prefix=name, character_coverage=1.0, hard_vocab_limit=False, minloglevel=2,
                                                 num_threads=1, **options)
        processor = sentencepiece.SentencePieceProcessor(model_file=name + ".model")
        target = os.path.join(FOLDER, name)
        os.makedirs(target, exist_ok=True)
        with open(name + ".model", "rb") as source, open(os.path.join(target, "tokenizer.model"), "wb") as out:
            out.write(source.read())
        with open(os.path.join(target, "tokenizer_config.json"), "w", encoding="utf-8") as out:
            out.write('{"tokenizer_class":"LlamaTokenizer","bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","add_bos_token":true}\n')
        with open(os.path.join(target, "expected.json"), "w", encoding="utf-8") as out:
            lines = [json.dumps([text, processor.encode(text)], ensure_ascii=True) for text in CASES]
            out.write("[\n" + ",\n".join(lines) + "]\n")
        print(name, processor.get_piece_size(), len(CASES))
